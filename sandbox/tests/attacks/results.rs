//! Taking results from a folder that an attacker has filled.

use crate::case::{Case, MIB, PATIENCE};
use ansatz_sandbox::{Cell, CollectErrorKind, Verdict};

const RESULT_MAX: u64 = 1000;

/// Runs a script that fills `/out`, and gives the ended cell.
fn filled(case: &Case, script: &str) -> Cell {
    let cell = case
        .start(&["-c", &format!("import os, socket\n{script}\nopen('/out/control', 'w').write('plain')")]);
    assert!(cell.wait(PATIENCE), "{}", cell.log().text());
    assert_eq!(cell.collect("control", RESULT_MAX).unwrap(), b"plain", "{}", cell.log().text());
    cell
}

fn refusal(cell: &Cell, name: &str) -> String {
    match cell.collect(name, RESULT_MAX) {
        Ok(bytes) => format!("taken: {:?}", String::from_utf8_lossy(&bytes)),
        Err(error) => format!("{:?}", error.kind()),
    }
}

#[test]
fn row_26_deep_tree() {
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
    case.end_of(&cell).ended(&[Verdict::Ok]);
    // Left where it is, it goes with the cell.
    let case = Case::new("deep-left");
    let script = "os.chdir('/out')\nfor _ in range(3500): os.mkdir('d'); os.chdir('d')";
    let cell = filled(&case, script);
    case.end(&cell).ended(&[Verdict::Ok]);
}

/// What a program prints is shown, not obeyed: by a terminal, a browser, a reader's eye.
#[test]
fn row_29_escapes() {
    let outcome = Case::new("escapes").run(
        r"
sys.stdout.write('\x1b]52;c;cm0gLXJm\x07 \x1b]0;title\x1b\\ \x1b[2J\x1b[H \u202egpj.exe \x00 \x9b31m \rhidden\n')
sys.stdout.buffer.write(bytes([0xff, 0xfe, 0x1b, 10]))
sys.stderr.write('data: {}\n\nevent: forged\n')
",
    );
    for forbidden in ['\u{1b}', '\u{7}', '\u{202e}', '\0', '\u{9b}', '\r'] {
        assert!(!outcome.text.contains(forbidden), "{forbidden:?} in {:?}", outcome.text);
    }
    outcome.check_lines(&["52;c;cm0gLXJm", "gpj.exe", "title", "hidden"]);
    outcome.ended(&[Verdict::Ok]);
}

#[test]
fn row_30_out_symlink() {
    let case = Case::new("link");
    let cell = filled(
        &case,
        "os.symlink('/etc/passwd', '/out/submission.csv'); os.symlink('/proc/self/environ', '/out/magic'); os.symlink('control', '/out/near')",
    );
    for name in ["submission.csv", "magic", "near"] {
        assert_eq!(refusal(&cell, name), "NotRegular", "{name}");
    }
    case.end(&cell).ended(&[Verdict::Ok]);
}

#[test]
fn row_31_out_symlink_dir() {
    let case = Case::new("link-dir");
    let cell = filled(
        &case,
        "os.symlink('..', '/out/model'); os.symlink('/etc', '/out/etc'); os.mkdir('/out/folder')",
    );
    for name in ["model", "model/etc", "etc/passwd", "folder"] {
        assert_eq!(refusal(&cell, name), "NotRegular", "{name}");
    }
    for name in ["../etc/passwd", "/etc/passwd", "folder/../control", "./control", ""] {
        assert_eq!(refusal(&cell, name), "BadName", "{name:?}");
    }
    case.end(&cell).ended(&[Verdict::Ok]);
}

#[test]
fn row_32_hardlink() {
    let case = Case::new("hardlink");
    let cell = filled(
        &case,
        "
for target in ('/etc/passwd', '/usr/bin/env', '/proc/self/status'):
    try: os.link(target, '/out/hard'); print('linked', target)
    except OSError as error: print('refused', error.errno)
open('/out/twice', 'w').write('x'); os.link('/out/twice', '/out/again')",
    );
    assert_eq!(refusal(&cell, "hard"), "NotFound");
    assert_eq!((refusal(&cell, "twice"), refusal(&cell, "again")), ("Linked(2)".into(), "Linked(2)".into()));
    let outcome = case.end(&cell);
    assert_eq!(outcome.text.matches("refused").count(), 3, "{}", outcome.text);
    outcome.ended(&[Verdict::Ok]);
}

#[test]
fn row_33_fifo_socket() {
    let case = Case::new("fifo");
    let cell = filled(
        &case,
        "
for name, action in (('fifo', lambda: os.mkfifo('/out/fifo')), ('node', lambda: os.mknod('/out/node', 0o10600))):
    try: action(); print(name, 'made')
    except OSError as error: print(name, 'refused', error.errno)
try: socket.socket(socket.AF_UNIX).bind('/out/socket')
except OSError: pass",
    );
    for name in ["fifo", "node", "socket"] {
        let said = refusal(&cell, name);
        assert!(said == "NotFound" || said == "NotRegular", "{name}: {said}");
    }
    let outcome = case.end(&cell);
    outcome.check_lines(&["fifo refused 1", "node refused 1"]);
    outcome.ended(&[Verdict::Ok]);
}

#[test]
fn row_34_device_node() {
    let case = Case::new("node");
    let cell = filled(
        &case,
        "
for name, mode, major in (('character', 0o20600, 1), ('block', 0o60600, 8)):
    try: os.mknod('/out/' + name, mode, os.makedev(major, 3)); print(name, 'made')
    except OSError as error: print(name, 'refused', error.errno)",
    );
    assert_eq!(
        (refusal(&cell, "character"), refusal(&cell, "block")),
        ("NotFound".into(), "NotFound".into())
    );
    let outcome = case.end(&cell);
    outcome.check_lines(&["character refused 1", "block refused 1"]);
    outcome.ended(&[Verdict::Ok]);
}

/// The bits of a file stay inside: what is taken is bytes, and the file system of the cell honours no such bit.
#[test]
fn row_35_setuid_out() {
    let case = Case::new("setuid");
    let cell = filled(
        &case,
        "
open('/out/program', 'w').write('#!/bin/sh\\necho runs'); os.chmod('/out/program', 0o6755)
print('flag', bool(os.statvfs('/out').f_flag & os.ST_NOSUID), bool(os.statvfs('/tmp').f_flag & os.ST_NOSUID), bool(os.statvfs('/dev/shm').f_flag & os.ST_NOSUID))",
    );
    assert_eq!(cell.collect("program", RESULT_MAX).unwrap(), b"#!/bin/sh\necho runs");
    let outcome = case.end(&cell);
    outcome.check_lines(&["flag True True True"]);
    outcome.ended(&[Verdict::Ok]);
}

#[test]
fn row_36_bad_names() {
    let names = ["-rf", ".hidden", "new\nline", "esc\u{1b}[2J", "space here", "\u{202e}gpj.exe", "quote\"'"];
    let listed = serde_json::to_string(&names).unwrap();
    let mut case = Case::new("names");
    case.env.insert("NAMES".into(), listed);
    let cell = filled(
        &case,
        "
import json
for name in json.loads(os.environ['NAMES']) + ['x' * 255]: open('/out/' + name, 'w').write('x')
open(b'/out/' + bytes([0xff, 0xfe]), 'w').write('x')
print(len(os.listdir('/out')))",
    );
    let long = "x".repeat(255);
    for name in names.iter().copied().chain([long.as_str(), "\u{fffd}\u{fffd}"]) {
        let error = cell.collect(name, RESULT_MAX).unwrap_err();
        assert!(matches!(error.kind(), CollectErrorKind::BadName), "{name:?}: {error:?}");
        let said = error.to_string();
        assert!(!said.contains(['\n', '\u{1b}', '\u{202e}']), "a name must be shown harmless: {said:?}");
    }
    let outcome = case.end(&cell);
    outcome.check_lines(&["9\n"]);
    outcome.ended(&[Verdict::Ok]);
}

/// The file is swapped with a link all the time; every take is either the file or refused.
#[test]
fn row_37_swap_race() {
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
    case.end(&cell).ended(&[Verdict::Killed]);
}

#[test]
fn what_may_be_taken_is_taken_before_and_after_the_end() {
    let case = Case::new("take");
    let cell = filled(
        &case,
        "open('/out/good.npy', 'w').write('values'); os.mkdir('/out/t1'); open('/out/t1/pred.npy', 'w').write('deep'); open('/out/big', 'wb').write(bytes(2000))",
    );
    assert_eq!(cell.collect("good.npy", RESULT_MAX).unwrap(), b"values");
    assert_eq!(cell.collect("t1/pred.npy", RESULT_MAX).unwrap(), b"deep");
    assert_eq!(refusal(&cell, "absent"), "NotFound");
    let large = cell.collect("big", RESULT_MAX).unwrap_err();
    assert!(matches!(large.kind(), CollectErrorKind::TooLarge { bytes: 2000, max: RESULT_MAX }));
    case.end(&cell).ended(&[Verdict::Ok]);
    assert_eq!(cell.collect("good.npy", MIB).unwrap(), b"values");
}
