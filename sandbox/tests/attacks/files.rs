//! What a cell sees of the host's files.

use crate::world::{Case, shared_folder};
use ansatz_sandbox::{CellSpec, Mount, Policy, Verdict};
use std::fs;

/// Row 1.
#[test]
fn host_files_are_absent_and_mounted_ones_are_there() {
    let folder = shared_folder();
    fs::create_dir(folder.path().join("given")).unwrap();
    fs::write(folder.path().join("given/hello"), "greetings").unwrap();
    fs::write(folder.path().join("canary"), "never to be seen").unwrap();
    let canary = folder.path().join("canary");
    let script = format!(
        "
for path in ['/etc/shadow', '/root', '/home', '/var', '/sys', '/boot', {canary:?}, '/proc/1/root/etc']:
    tried(path, lambda: os.stat(path))
tried('given', lambda: print(open('/in/user/hello').read()))
print(sorted(os.listdir('/etc')), os.path.expanduser('~'))
"
    );
    let outcome = Case::new("files").mount(&folder.path().join("given"), "/in/user").run(&script);
    for path in ["/etc/shadow", "/root", "/home", "/var", "/sys", "/boot", canary.to_str().unwrap()] {
        outcome.check(path, &["ENOENT"]);
    }
    outcome.check("/proc/1/root/etc", &["EACCES"]);
    outcome.check("given", &["ok"]);
    assert!(outcome.text.contains("greetings") && !outcome.text.contains("never to be seen"));
}

/// Row 2.
#[test]
fn the_environment_is_the_policys_and_nothing_else() {
    let mut case = Case::new("env");
    case.env.insert("GIVEN".into(), "yes".into());
    let outcome = case.run("print(sorted(os.environ)); print(os.environ['GIVEN'])");
    let expected = "['CELL_MARK', 'GIVEN', 'HF_HUB_OFFLINE', 'HOME', 'LANG', 'PATH', 'PYTHONDONTWRITEBYTECODE', \
                    'PYTHONHASHSEED', 'PYTHONNOUSERSITE', 'PYTHONSAFEPATH', 'PYTHONUNBUFFERED', 'TMPDIR', 'TZ']\nyes";
    assert!(outcome.text.contains(expected), "{}", outcome.text);
    assert!(std::env::vars().count() > 0, "the host must have something to hide");
}

/// Row 3.
#[test]
fn pid_one_tells_nothing() {
    let folder = shared_folder();
    let outcome = Case::new("pid1").mount(folder.path(), "/in/x").run(
        "
for name in ['environ', 'mem', 'maps']:
    tried(name, lambda: open(f'/proc/1/{name}').read())
for name in ['exe', 'cwd', 'root']:
    tried(name, lambda: os.readlink(f'/proc/1/{name}'))
tried('fd', lambda: os.listdir('/proc/1/fd'))
print('cmdline', open('/proc/1/cmdline').read().replace(chr(0), ' '))
tried('self', lambda: open('/proc/self/environ').read())
",
    );
    for name in ["environ", "mem", "maps", "exe", "cwd", "root", "fd"] {
        outcome.check(name, &["EACCES"]);
    }
    outcome.check("self", &["ok"]);
    assert!(outcome.text.contains("cmdline ansatz-cell __cell"), "{}", outcome.text);
    assert!(!outcome.text.contains(folder.path().to_str().unwrap()));
}

/// Rows 5 to 7.
#[test]
fn kernel_settings_cannot_be_opened_for_writing() {
    let outcome = Case::new("proc").run(
        "
for path in ['/proc/sys/kernel/core_pattern', '/proc/sys/vm/drop_caches', '/proc/sys/kernel/hostname', '/proc/sysrq-trigger',
             '/proc/sys/net/ipv4/ip_forward', '/proc/1/oom_score_adj', '/proc/1/uid_map']:
    tried(path, lambda: os.close(os.open(path, os.O_WRONLY)))
tried('kcore', lambda: print(len(open('/proc/kcore', 'rb').read(10))))
tried('cpuinfo', lambda: open('/proc/cpuinfo').read())
tried('null', lambda: open('/dev/null', 'w').write('x'))
tried('random', lambda: open('/dev/urandom', 'rb').read(4))
print(sorted(os.listdir('/dev')))
",
    );
    let closed = ["EROFS", "EACCES", "ENOENT"];
    for path in ["core_pattern", "hostname"] {
        outcome.check(&format!("/proc/sys/kernel/{path}"), &closed);
    }
    for path in [
        "/proc/sys/vm/drop_caches",
        "/proc/sysrq-trigger",
        "/proc/sys/net/ipv4/ip_forward",
        "/proc/1/oom_score_adj",
        "/proc/1/uid_map",
    ] {
        outcome.check(path, &closed);
    }
    assert!(outcome.text.contains("\n0\nkcore: ok") || outcome.text.contains("kcore: E"), "{}", outcome.text);
    for name in ["cpuinfo", "null", "random"] {
        outcome.check(name, &["ok"]);
    }
    assert!(
        outcome.text.contains(
            "['fd', 'full', 'null', 'random', 'shm', 'stderr', 'stdin', 'stdout', 'urandom', 'zero']"
        )
    );
}

/// Row 38.
#[test]
fn what_is_shown_cannot_be_changed() {
    let folder = shared_folder();
    fs::write(folder.path().join("data"), "original").unwrap();
    let outcome = Case::new("write").mount(folder.path(), "/in/data").run(
        "
tried('edit', lambda: open('/in/data/data', 'r+'))
tried('add', lambda: open('/in/data/new', 'w'))
tried('delete', lambda: os.unlink('/in/data/data'))
tried('chmod', lambda: os.chmod('/in/data/data', 0o777))
tried('usr', lambda: open('/usr/planted', 'w'))
tried('root', lambda: open('/planted', 'w'))
tried('etc', lambda: open('/etc/passwd', 'a'))
tried('mkdir', lambda: os.mkdir('/in/data/d'))
tried('out', lambda: open('/out/mine', 'w').write('mine'))
tried('tmp', lambda: open('/tmp/mine', 'w').write('mine'))
tried('shm', lambda: open('/dev/shm/mine', 'w').write('mine'))
",
    );
    for attempt in ["edit", "add", "delete", "chmod", "usr", "root", "etc", "mkdir"] {
        outcome.check(attempt, &["EROFS", "EACCES", "EPERM"]);
    }
    for attempt in ["out", "tmp", "shm"] {
        outcome.check(attempt, &["ok"]);
    }
    assert_eq!(fs::read_to_string(folder.path().join("data")).unwrap(), "original");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

/// Row 40.
#[test]
fn labels_beside_a_mounted_folder_are_not_found_anywhere() {
    let folder = shared_folder();
    fs::create_dir(folder.path().join("given")).unwrap();
    fs::write(folder.path().join("given/train"), "token-of-train").unwrap();
    fs::write(folder.path().join("labels"), "token-of-labels").unwrap();
    let outcome = Case::new("labels").mount(&folder.path().join("given"), "/in/data").run(
        "
found = []
skipped = ('/usr', '/lib', '/lib64', '/bin', '/proc/sys', '/dev')
for top, folders, names in os.walk('/'):
    folders[:] = [each for each in folders if not os.path.join(top, each).startswith(skipped)]
    for name in names:
        try:
            with open(os.open(os.path.join(top, name), os.O_RDONLY | os.O_NONBLOCK), 'rb') as file:
                text = file.read(1 << 20) or b''
        except OSError:
            continue
        for token in (b'token-of-' + b'train', b'token-of-' + b'labels'):
            if token in text and '/proc/' not in top + '/':
                found.append(token.decode())
print('found', sorted(set(found)))
",
    );
    assert!(outcome.text.contains("found ['token-of-train']"), "{}", outcome.text);
}

#[test]
fn files_that_the_host_adds_later_appear() {
    let folder = shared_folder();
    let case = Case::new("later").mount(folder.path(), "/in/data");
    let cell = case.start(&[
        "-c",
        "import socket; s = socket.socket(fileno=3); s.recv(10); s.send(open('/in/data/array.npy', 'rb').read())",
    ]);
    fs::write(folder.path().join("array.npy"), "numbers").unwrap();
    cell.send(b"go", &[]).unwrap();
    assert_eq!(cell.recv(crate::world::PATIENCE).unwrap().as_deref(), Some(&b"numbers"[..]));
    cell.wait(crate::world::PATIENCE);
    assert_eq!(case.end(&cell).report.verdict, Verdict::Ok);
}

#[test]
fn a_program_that_is_not_there_is_named() {
    let spec = CellSpec {
        name: "absent".into(),
        policy: Policy { mounts: vec![Mount::new("/usr", "/usr")], ..Policy::default() },
        argv: vec!["/usr/bin/no-such-program".into()],
        cwd: "/tmp".into(),
    };
    let error = crate::world::launcher().start(spec).unwrap_err();
    let said = error.kind().to_string();
    assert!(said.contains("/usr/bin/no-such-program") && said.contains("No such file"), "{said}");
}
