//! What a cell sees of the host's files.

use crate::canary::Canaries;
use crate::case::{Case, PATIENCE, REFUSED, hidden, shared_folder};
use crate::world::World;
use ansatz_sandbox::Verdict;
use std::fs;

#[test]
fn row_01_host_files() {
    let folder = shared_folder();
    fs::create_dir(folder.path().join("given")).unwrap();
    fs::write(folder.path().join("given/hello"), "greetings").unwrap();
    let canary = Canaries::get().file();
    let outcome = Case::new("files").mount(&folder.path().join("given"), "/in/user").run(&format!(
        "
for path in ['/etc/shadow', '/root', '/root/.ssh/id_rsa', '/home', '/var/log', '/boot', '/run']:
    tried(path, lambda: opened(path))
tried('canary', lambda: opened({canary:?}))
tried('canary for writing', lambda: opened({canary:?}, os.O_WRONLY))
tried('through pid 1', lambda: opened('/proc/1/root/etc'))
tried('up and down', lambda: opened('/in/user/../../../../..' + {canary:?}))
tried('given', lambda: print(open('/in/user/hello').read()))
print(sorted(os.listdir('/etc')), os.path.expanduser('~'))
"
    ));
    let paths = ["/etc/shadow", "/root", "/root/.ssh/id_rsa", "/home", "/var/log", "/boot"];
    outcome.check_all(&paths, hidden());
    if World::current() != World::Engine {
        // An image brings an empty one.
        outcome.check_all(&["/run"], hidden());
    }
    outcome.check_all(&["canary", "canary for writing", "up and down"], hidden());
    outcome.check("through pid 1", &["EACCES"]);
    outcome.check("given", &["ok"]);
    outcome.check_lines(&["greetings"]);
    outcome.ended(&[Verdict::Ok]);
}

#[test]
fn row_02_secrets_in_env() {
    let mut case = Case::new("env");
    case.env.insert("GIVEN".into(), "yes".into());
    let outcome = case.run("print(sorted(os.environ)); print(os.environ['GIVEN'])");
    let expected = "['CELL_MARK', 'GIVEN', 'HF_HUB_OFFLINE', 'HOME', 'LANG', 'PATH', 'PYTHONDONTWRITEBYTECODE', \
                    'PYTHONHASHSEED', 'PYTHONNOUSERSITE', 'PYTHONSAFEPATH', 'PYTHONUNBUFFERED', 'TMPDIR', 'TZ']\nyes";
    outcome.check_lines(&[expected]);
    assert!(std::env::vars().count() > 0, "the host must have something to hide");
    outcome.ended(&[Verdict::Ok]);
}

#[test]
fn row_03_pid1_environ() {
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
    outcome.check_all(&["environ", "mem", "maps", "exe", "cwd", "root", "fd"], &["EACCES"]);
    outcome.check("self", &["ok"]);
    outcome.check_lines(&["__cell"]);
    let helper = crate::world::helper();
    assert!(!outcome.text.contains(helper.to_str().unwrap()), "a host path is shown: {}", outcome.text);
    assert!(
        !outcome.text.contains(folder.path().to_str().unwrap()),
        "a host path is shown: {}",
        outcome.text
    );
    outcome.ended(&[Verdict::Ok]);
}

#[test]
fn row_05_proc_sys() {
    let outcome = Case::new("sys").run(
        "
for path in ['/proc/sys/kernel/core_pattern', '/proc/sys/vm/drop_caches', '/proc/sys/kernel/hostname',
             '/proc/sys/net/ipv4/ip_forward', '/proc/1/oom_score_adj', '/proc/1/uid_map']:
    tried(path, lambda: opened(path, os.O_WRONLY))
tried('cpuinfo', lambda: open('/proc/cpuinfo').read())
tried('null', lambda: open('/dev/null', 'w').write('x'))
tried('random', lambda: open('/dev/urandom', 'rb').read(4))
print(sorted(os.listdir('/dev')))
",
    );
    let paths = [
        "/proc/sys/kernel/core_pattern",
        "/proc/sys/vm/drop_caches",
        "/proc/sys/kernel/hostname",
        "/proc/sys/net/ipv4/ip_forward",
        "/proc/1/oom_score_adj",
        "/proc/1/uid_map",
    ];
    outcome.check_all(&paths, &["EROFS", "EACCES", "ENOENT"]);
    outcome.check_all(&["cpuinfo", "null", "random"], &["ok"]);
    for device in ["'kvm'", "'fuse'", "'tty'", "'mem'", "'loop", "'sd", "'nvidia"] {
        // An engine makes the node; a process without a terminal cannot open it.
        if device == "'tty'" && World::current() == World::Engine {
            continue;
        }
        assert!(!outcome.text.contains(device), "{device} in {}", outcome.text);
    }
    outcome.ended(&[Verdict::Ok]);
}

#[test]
fn row_06_sysrq_kcore_keys() {
    let outcome = Case::new("kcore").run(
        "
tried('sysrq', lambda: opened('/proc/sysrq-trigger', os.O_WRONLY))
def content(path):
    with open(path, 'rb') as file:
        if not file.read(64):
            raise OSError(errno.ENODATA, 'covered')
for name in ['kcore', 'keys', 'key-users', 'timer_list', 'latency_stats', 'sched_debug', 'kmsg', 'kallsyms']:
    tried(name, lambda: content('/proc/' + name))
",
    );
    outcome.check("sysrq", REFUSED);
    let names = ["kcore", "keys", "key-users", "timer_list", "latency_stats", "sched_debug", "kmsg"];
    outcome.check_all(&names, &["ENOENT", "EACCES", "EPERM", "ENODATA"]);
    outcome.ended(&[Verdict::Ok]);
}

#[test]
fn row_07_sys_cgroup() {
    let outcome = Case::new("cgroup").run(
        "
import glob
for path in ['/sys', '/sys/fs/cgroup', '/sys/fs/cgroup/cgroup.procs', '/sys/fs/cgroup/memory', '/sys/kernel/security']:
    tried(path, lambda: opened(path))
found = glob.glob('/sys/fs/cgroup/**/cgroup.procs', recursive=True)
tried('join', lambda: [opened(path, os.O_WRONLY) for path in found] or opened('/sys/fs/cgroup/cgroup.procs', os.O_WRONLY))
limits = glob.glob('/sys/fs/cgroup/**/memory.limit_in_bytes', recursive=True) + glob.glob('/sys/fs/cgroup/**/memory.max', recursive=True)
tried('limit', lambda: [opened(path, os.O_WRONLY) for path in limits] or opened('/sys/fs/cgroup/memory.max', os.O_WRONLY))
",
    );
    outcome.check_all(&["join", "limit"], REFUSED);
    outcome.check_all(&["/sys/fs/cgroup", "/sys/fs/cgroup/cgroup.procs", "/sys/kernel/security"], hidden());
    if World::current() != World::Engine {
        // An engine shows a masked one, read-only.
        outcome.check_all(&["/sys"], hidden());
    }
    outcome.ended(&[Verdict::Ok]);
}

#[test]
fn row_08_cwd_fd_leak() {
    let outcome = Case::new("leak").run(
        "
listed = os.open('/proc/self/fd', os.O_RDONLY)
for name in sorted(os.listdir(listed), key=int):
    if int(name) == listed: continue
    try: target = os.readlink(f'/proc/self/fd/{name}')
    except OSError: continue
    print('descriptor', name, target.split(':')[0])
print('cwd', os.getcwd(), os.readlink('/proc/self/cwd'))
",
    );
    let descriptors: Vec<&str> =
        outcome.text.lines().filter_map(|line| line.strip_prefix("descriptor ")).collect();
    for descriptor in &descriptors {
        let (number, target) = descriptor.split_once(' ').unwrap();
        let right = match number {
            "0" => target == "/dev/null",
            "1" | "2" => target == "pipe",
            "3" => target == "socket",
            _ => false,
        };
        assert!(right, "descriptor {number} leads to {target}: {descriptors:?}");
    }
    assert_eq!(descriptors.len(), 4, "{descriptors:?}");
    outcome.check_lines(&["cwd /tmp /tmp"]);
    outcome.ended(&[Verdict::Ok]);
}

#[test]
fn row_38_write_in() {
    let folder = shared_folder();
    fs::write(folder.path().join("data"), "original").unwrap();
    let outcome = Case::new("write").mount(folder.path(), "/in/data").run(
        "
tried('edit', lambda: open('/in/data/data', 'r+'))
tried('add', lambda: open('/in/data/new', 'w'))
tried('delete', lambda: os.unlink('/in/data/data'))
tried('rename', lambda: os.rename('/in/data/data', '/in/data/other'))
tried('chmod', lambda: os.chmod('/in/data/data', 0o777))
tried('times', lambda: os.utime('/in/data/data', (0, 0)))
tried('attribute', lambda: os.setxattr('/in/data/data', 'user.mark', b'x'))
tried('usr', lambda: open('/usr/planted', 'w'))
tried('root', lambda: open('/planted', 'w'))
tried('etc', lambda: open('/etc/passwd', 'a'))
tried('mkdir', lambda: os.mkdir('/in/data/d'))
tried('out', lambda: open('/out/mine', 'w').write('mine'))
tried('tmp', lambda: open('/tmp/mine', 'w').write('mine'))
tried('shm', lambda: open('/dev/shm/mine', 'w').write('mine'))
",
    );
    let changes =
        ["edit", "add", "delete", "rename", "chmod", "times", "attribute", "usr", "root", "etc", "mkdir"];
    outcome.check_all(&changes, &["EROFS", "EACCES", "EPERM", "ENOTSUP", "ENOSYS"]);
    outcome.check_all(&["out", "tmp", "shm"], &["ok"]);
    assert_eq!(fs::read_to_string(folder.path().join("data")).unwrap(), "original");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    outcome.ended(&[Verdict::Ok]);
}

#[test]
fn row_39_cache_poison() {
    let cache = shared_folder();
    let weights = cache.path().join("weights.bin");
    fs::write(&weights, "weights").unwrap();
    let outcome = Case::new("cache").mount(cache.path(), "/cache").run(
        "
tried('overwrite', lambda: open('/cache/weights.bin', 'wb'))
tried('append', lambda: open('/cache/weights.bin', 'ab'))
tried('replace', lambda: os.rename('/tmp', '/cache/weights.bin'))
tried('shared mapping', lambda: opened('/cache/weights.bin', os.O_RDWR))
tried('lock file', lambda: open('/cache/weights.bin.lock', 'w'))
tried('read', lambda: open('/cache/weights.bin').read())
",
    );
    outcome.check_all(
        &["overwrite", "append", "replace", "shared mapping", "lock file"],
        &["EROFS", "EACCES", "EPERM", "EXDEV"],
    );
    outcome.check("read", &["ok"]);
    assert_eq!(fs::read_to_string(&weights).unwrap(), "weights");
    outcome.ended(&[Verdict::Ok]);
}

#[test]
fn row_40_label_hunt() {
    let folder = shared_folder();
    fs::create_dir(folder.path().join("given")).unwrap();
    fs::write(folder.path().join("given/train"), "token-of-train").unwrap();
    fs::write(folder.path().join("labels"), "token-of-labels").unwrap();
    let outcome = Case::new("labels").mount(&folder.path().join("given"), "/in/data").run(
        "
found = []
skipped = ('/usr', '/lib', '/lib64', '/bin', '/sbin', '/proc/sys', '/dev')
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
    outcome.check_lines(&["found ['token-of-train']"]);
    outcome.ended(&[Verdict::Ok]);
}

#[test]
fn row_41_neighbour() {
    let (victim, attacker) = (Case::new("victim"), Case::new("neighbour"));
    let living = victim.start(&[
        "-c",
        "
import os, socket
open('/out/secret', 'w').write('neighbours-' + 'secret')
open('/tmp/secret', 'w').write('neighbours-' + 'secret')
open('/dev/shm/secret', 'w').write('neighbours-' + 'secret')
s = socket.socket(fileno=3)
s.send(b'ready')
s.recv(10)
s.send(b'unharmed')
",
    ]);
    assert_eq!(living.recv(PATIENCE).unwrap().as_deref(), Some(&b"ready"[..]));
    let outcome = attacker.run(
        "
import glob, signal
for path in ['/out/secret', '/tmp/secret', '/dev/shm/secret']:
    tried(path, lambda: opened(path))
own = {os.getpid(), os.getppid(), 1}
others = [int(name) for name in os.listdir('/proc') if name.isdigit() and int(name) not in own]
reached = 0
for pid in others or [3]:
    for attempt in (lambda: os.kill(pid, 0), lambda: opened(f'/proc/{pid}/root/out/secret'), lambda: open(f'/proc/{pid}/environ', 'rb').read(1)):
        try:
            attempt(); reached += 1
        except OSError: pass
print('reached', reached)
",
    );
    outcome.check_all(&["/out/secret", "/tmp/secret", "/dev/shm/secret"], &["ENOENT", "EACCES"]);
    outcome.check_lines(&["reached 0"]);
    living.send(b"go", &[]).unwrap();
    assert_eq!(living.recv(PATIENCE).unwrap().as_deref(), Some(&b"unharmed"[..]));
    victim.end_of(&living).ended(&[Verdict::Ok]);
    outcome.ended(&[Verdict::Ok]);
}

/// What one cell leaves where Python looks for code is not there for the next.
#[test]
fn row_64_ld_preload() {
    let case = Case::new("preload");
    let outcome = case.run(
        "
import site
planted = 'open(\"/tmp/loaded\", \"w\"); print(\"planted code runs\")'
folders = ['/out', '/tmp', '/dev/shm', site.getusersitepackages(), os.path.expanduser('~')] + site.getsitepackages()
wrote = 0
for folder in folders:
    for name in ('sitecustomize.py', 'usercustomize.py', 'planted.pth', 'os.py', 'numpy.py', 'libpreload.so'):
        try:
            os.makedirs(folder, exist_ok=True)
            open(os.path.join(folder, name), 'w').write(planted); wrote += 1
        except OSError: pass
print('wrote', wrote > 0)
tried('ld.so.preload', lambda: open('/etc/ld.so.preload', 'w'))
",
    );
    outcome.check_lines(&["wrote True"]);
    outcome.check("ld.so.preload", REFUSED);
    outcome.ended(&[Verdict::Ok]);
    let next = Case::new("preload-next").run(
        "
print('left', [name for folder in ('/out', '/tmp', '/dev/shm') for name in os.listdir(folder)])
print('path', [each for each in sys.path if each.startswith(('/out', '/tmp')) or each == ''])
print('variables', [name for name in os.environ if name.startswith('LD_') or name in ('PYTHONPATH', 'PYTHONSTARTUP')])
",
    );
    next.check_lines(&["left []", "path []", "variables []"]);
    assert!(!next.text.contains("planted code runs"), "{}", next.text);
    next.ended(&[Verdict::Ok]);
}

/// A model's file that names data elsewhere: read in a cell, its links and dots lead nowhere.
#[test]
fn row_66_onnx_external() {
    let folder = shared_folder();
    let model = folder.path().join("model");
    fs::create_dir(&model).unwrap();
    fs::write(folder.path().join("beside"), "kept from the model").unwrap();
    fs::write(model.join("weights"), "weights").unwrap();
    let canary = Canaries::get().file();
    std::os::unix::fs::symlink(&canary, model.join("link")).unwrap();
    std::os::unix::fs::symlink("../beside", model.join("up")).unwrap();
    std::os::unix::fs::symlink("/etc/shadow", model.join("absolute")).unwrap();
    let outcome = Case::new("external").mount(&model, "/in/model").run(&format!(
        "
tried('dots', lambda: print(open('/in/model/../../..' + {canary:?}).read()))
for location in ['link', 'up', 'absolute', '../../../../proc/1/environ']:
    tried(location, lambda: print(open(os.path.join('/in/model', location)).read()))
tried('weights', lambda: open('/in/model/weights').read())
"
    ));
    let mut refused = hidden().to_vec();
    refused.push("EACCES");
    outcome.check_all(&["link", "up", "absolute", "dots", "../../../../proc/1/environ"], &refused);
    outcome.check("weights", &["ok"]);
    outcome.ended(&[Verdict::Ok]);
}

/// A lock on a shared read-only file can be seen by another cell: a slow covert channel that is known and stays. What
/// keeps it harmless is that nothing of another cell or run is there to be read.
#[test]
fn row_79_covert_flock() {
    let shared = shared_folder();
    fs::write(shared.path().join("library"), "shared").unwrap();
    let holder = Case::new("flock").mount(shared.path(), "/in/shared");
    let holding = holder.start(&[
        "-c",
        "
import fcntl, os, socket
open('/out/message', 'w').write('label 1')
held = open('/in/shared/library')
fcntl.flock(held, fcntl.LOCK_EX)
s = socket.socket(fileno=3); s.send(b'held'); s.recv(10)
",
    ]);
    assert_eq!(holding.recv(PATIENCE).unwrap().as_deref(), Some(&b"held"[..]));
    let outcome = Case::new("flock-other").mount(shared.path(), "/in/shared").run(
        "
import fcntl
tried('bit', lambda: fcntl.flock(open('/in/shared/library'), fcntl.LOCK_SH | fcntl.LOCK_NB))
tried('message', lambda: opened('/out/message'))
print('shown', sorted(os.listdir('/in')), sorted(os.listdir('/in/shared')))
",
    );
    outcome.check("bit", &["ok", "EAGAIN", "EACCES", "EPERM"]);
    outcome.check("message", &["ENOENT"]);
    outcome.check_lines(&["shown ['shared'] ['library']"]);
    holding.send(b"end", &[]).unwrap();
    holder.end_of(&holding).ended(&[Verdict::Ok]);
    outcome.ended(&[Verdict::Ok]);
}

#[test]
fn the_canaries_answer_those_who_can_reach_them() {
    Canaries::get().assert_alive();
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
    assert_eq!(cell.recv(PATIENCE).unwrap().as_deref(), Some(&b"numbers"[..]));
    case.end_of(&cell).ended(&[Verdict::Ok]);
}
