//! Taking results from a folder that an attacker has filled.

use crate::world::{Case, PATIENCE};
use ansatz_sandbox::CollectErrorKind;

/// Rows 30 to 33 and 36.
#[test]
fn only_plain_files_with_plain_names_are_taken() {
    let case = Case::new("links");
    let cell = case.start(&[
        "-c",
        "
import os
os.symlink('/etc/passwd', '/out/submission.csv')
os.symlink('..', '/out/model')
os.symlink('/proc/self/environ', '/out/magic')
os.mkdir('/out/folder')
open('/out/good.npy', 'w').write('values'); os.chmod('/out/good.npy', 0o6755)
os.mkdir('/out/t1'); open('/out/t1/pred.npy', 'w').write('deep')
open('/out/twice', 'w').write('x'); os.link('/out/twice', '/out/again')
for target in ('/etc/passwd', '/usr/bin/env'):
    try: os.link(target, '/out/hard'); print('linked', target)
    except OSError as error: print('hard link refused', error.errno)
open('/out/-rf', 'w').write('x')
open('/out/big', 'wb').write(bytes(2000))
",
    ]);
    assert!(cell.wait(PATIENCE));
    let kind = |name: &str| cell.collect(name, 1000).map_err(|error| format!("{:?}", error.kind()));
    for name in ["submission.csv", "magic", "folder", "model/etc"] {
        assert_eq!(kind(name).unwrap_err(), "NotRegular", "{name}");
    }
    assert_eq!(kind("good.npy").unwrap(), b"values");
    assert_eq!(kind("t1/pred.npy").unwrap(), b"deep");
    assert_eq!(kind("twice").unwrap_err(), "Linked(2)");
    assert_eq!(kind("-rf").unwrap_err(), "BadName");
    assert_eq!(kind("absent").unwrap_err(), "NotFound");
    assert!(matches!(
        cell.collect("big", 1000).unwrap_err().kind(),
        CollectErrorKind::TooLarge { bytes: 2000, max: 1000 }
    ));
    let outcome = case.end(&cell);
    assert!(
        outcome.text.contains("hard link refused") && !outcome.text.contains("linked "),
        "{}",
        outcome.text
    );
    // What was collected can still be collected after the end.
    assert_eq!(cell.collect("good.npy", 1000).unwrap(), b"values");
}

/// Row 26.
#[test]
fn a_deep_tree_is_removed_while_the_cell_lives() {
    let case = Case::new("deep");
    let cell = case.start(&[
        "-c",
        "
import os, socket
os.mkdir('/out/t1'); os.chdir('/out/t1')
for _ in range(3500):
    os.mkdir('d'); os.chdir('d')
open('leaf', 'w').write('x')
os.chdir('/tmp')
s = socket.socket(fileno=3)
s.send(b'dug')
s.recv(10)
s.send(str(os.listdir('/out')).encode())
",
    ]);
    assert_eq!(cell.recv(PATIENCE).unwrap().as_deref(), Some(&b"dug"[..]));
    cell.remove("t1").unwrap();
    cell.send(b"look", &[]).unwrap();
    assert_eq!(cell.recv(PATIENCE).unwrap().as_deref(), Some(&b"[]"[..]));
    cell.wait(PATIENCE);
    case.end(&cell);
}

/// Row 37: the file is swapped with a link all the time; every take is either the file or refused.
#[test]
fn swapping_a_file_with_a_link_gains_nothing() {
    let case = Case::new("swap");
    let cell = case.start(&[
        "-c",
        "
import os, socket
open('/out/a', 'w').write('honest'); os.symlink('/etc/passwd', '/out/b')
socket.socket(fileno=3).send(b'ready')
while True:
    os.rename('/out/a', '/out/x'); os.symlink('/etc/passwd', '/out/a'); os.rename('/out/x', '/out/a')
",
    ]);
    cell.recv(PATIENCE).unwrap();
    for _ in 0..2000 {
        match cell.collect("a", 100) {
            Ok(bytes) => assert_eq!(bytes, b"honest"),
            Err(error) => {
                assert!(
                    matches!(error.kind(), CollectErrorKind::NotRegular | CollectErrorKind::NotFound),
                    "{:?}",
                    error.kind()
                );
            }
        }
    }
    case.end(&cell);
}
