//! Reaching for other processes, privileges and forbidden calls; and the things that must go on working.

use crate::world::{Case, marked_processes};
use ansatz_sandbox::Verdict;

/// Rows 42, 44 and 49 to 51. Numbers are those of x86-64; the Rust tests of the list cover the rest.
#[cfg(target_arch = "x86_64")]
#[test]
fn calls_that_reach_other_processes_or_the_kernel_are_refused() {
    let outcome = Case::new("ptrace").run(
        "
call('ptrace', 101, 16, 1, 0, 0)
call('process_vm_readv', 310, 1, 0, 0, 0, 0, 0)
call('process_vm_writev', 311, 1, 0, 0, 0, 0, 0)
call('pidfd_getfd', 438, 0, 0, 0)
call('kcmp', 312, 1, 1, 0, 0, 0)
call('prlimit of 1', 302, 1, 7, 0, 0)
call('prlimit of self', 302, 0, 7, 0, 0)
call('io_uring', 425, 1, 0)
call('keyctl', 250, 0, 0)
call('add_key', 248, 0, 0, 0, 0, 0)
call('bpf', 321, 0, 0, 0)
call('perf', 298, 0, 0, 0, 0, 0)
call('userfaultfd', 323, 0)
call('fanotify', 300, 0, 0)
call('open_by_handle', 304, -1, 0, 0)
call('module', 313, -1, 0, 0)
call('clock_settime', 227, 0, 0)
call('shmget', 29, 4711, 4096, 0o1600)
call('x32 getpid', 0x40000000 + 39)
call('unknown', 4095)
call('getpid', 39)
",
    );
    for attempt in [
        "ptrace",
        "process_vm_readv",
        "process_vm_writev",
        "pidfd_getfd",
        "kcmp",
        "prlimit of 1",
        "io_uring",
        "keyctl",
        "add_key",
        "bpf",
        "perf",
        "userfaultfd",
        "fanotify",
        "open_by_handle",
        "module",
        "clock_settime",
        "shmget",
    ] {
        outcome.check(attempt, &["EPERM"]);
    }
    outcome.check("x32 getpid", &["ENOSYS"]);
    outcome.check("unknown", &["ENOSYS"]);
    outcome.check("prlimit of self", &["ok"]);
    outcome.check("getpid", &["ok"]);
}

/// Row 43.
#[test]
fn signals_do_not_leave_the_cell() {
    let outcome = Case::new("kill").run(
        "
tried('one', lambda: os.kill(1, 9))
tried('parent', lambda: os.kill(os.getppid(), 9))
tried('all', lambda: os.kill(-1, 9))
pid = os.fork()
if pid == 0:
    time.sleep(60)
tried('child', lambda: os.kill(pid, 9))
print('killed by', os.waitpid(pid, 0)[1])
print('alive', os.path.exists('/proc/1'))
",
    );
    // Landlock refuses; without it PID 1 is deaf to its own name space.
    outcome.check("one", &["EPERM", "ok"]);
    outcome.check("child", &["ok"]);
    assert!(outcome.text.contains("killed by 9") && outcome.text.contains("alive True"), "{}", outcome.text);
    assert_eq!(outcome.report.verdict, Verdict::Ok);
}

/// Row 45 and 46.
#[test]
fn survivors_go_with_the_cell() {
    let case = Case::new("survivor");
    let cell = case.start(&[
        "-c",
        "
import os, signal, socket, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        socket.socket(fileno=3).send(b'settled')
        time.sleep(300)
    os._exit(0)
time.sleep(0.3)
print('parent leaves')
",
    ]);
    assert_eq!(cell.recv(crate::world::PATIENCE).unwrap().as_deref(), Some(&b"settled"[..]));
    assert!(!marked_processes(&case.name).is_empty(), "the survivor must be seen while it lives");
    assert!(cell.wait(crate::world::PATIENCE));
    let outcome = case.end(&cell);
    assert_eq!(outcome.report.verdict, Verdict::Ok);
    assert!(outcome.text.contains("parent leaves"));
}

/// Row 48.
#[cfg(target_arch = "x86_64")]
#[test]
fn no_name_space_and_no_mount_can_be_made() {
    let outcome = Case::new("unshare").run(
        "
for name, flag in [('user', 0x10000000), ('mount', 0x20000), ('pid', 0x20000000), ('net', 0x40000000)]:
    call(f'unshare {name}', 272, flag)
    call(f'clone {name}', 56, flag | 17, 0, 0, 0, 0)
call('mount', 165, 0, 0, 0, 0, 0)
call('umount', 166, 0, 0)
call('setns', 308, 0, 0)
call('pivot_root', 155, 0, 0)
call('chroot', 161, 0)
call('open_tree', 428, -100, 0, 0)
call('move_mount', 429, -1, 0, -1, 0, 0)
call('fsopen', 430, 0, 0)
call('mount_setattr', 442, -1, 0, 0, 0, 0)
call('clone3', 435, 0, 0)
pid = os.fork()
if pid == 0:
    os._exit(7)
print('fork:', os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
",
    );
    for name in ["user", "mount", "pid", "net"] {
        outcome.check(&format!("unshare {name}"), &["EPERM"]);
        outcome.check(&format!("clone {name}"), &["EPERM"]);
    }
    for attempt in [
        "mount",
        "umount",
        "setns",
        "pivot_root",
        "chroot",
        "open_tree",
        "move_mount",
        "fsopen",
        "mount_setattr",
    ] {
        outcome.check(attempt, &["EPERM"]);
    }
    outcome.check("clone3", &["ENOSYS"]);
    outcome.check("fork", &["7"]);
}

/// Rows 34, 54, 55, 59 and 60.
#[test]
fn privileges_stay_dropped_and_input_is_empty() {
    let outcome = Case::new("priv").run(
        "
import resource
for line in open('/proc/self/status'):
    if line.startswith(('NoNewPrivs', 'CapEff', 'CapBnd', 'Seccomp:', 'Uid', 'Gid', 'Groups')):
        print(line.split()[0], *line.split()[1:2])
tried('setuid', lambda: os.setuid(0))
tried('device', lambda: os.mknod('/out/device', 0o20600, os.makedev(1, 3)))
tried('pipe', lambda: os.mkfifo('/out/fifo'))
try:
    resource.setrlimit(resource.RLIMIT_NOFILE, (1 << 20, 1 << 20)); print('raise: ok')
except (ValueError, OSError):
    print('raise: refused')
print('core', resource.getrlimit(resource.RLIMIT_CORE))
print('stdin', sys.stdin.read() == '')
print('fds', sorted(int(each) for each in os.listdir('/proc/self/fd'))[:4], os.getuid(), os.uname().nodename != '')
pid = os.fork()
if pid == 0:
    os.abort()
print('aborted', os.waitpid(pid, 0)[1])
",
    );
    for line in
        ["NoNewPrivs: 1", "Seccomp: 2", "CapEff: 0000000000000000", "CapBnd: 0000000000000000", "Uid: 1000"]
    {
        assert!(outcome.text.contains(line), "{line} is missing in {}", outcome.text);
    }
    outcome.check("setuid", &["EINVAL", "EPERM"]);
    outcome.check("device", &["EPERM"]);
    outcome.check("pipe", &["EPERM"]);
    outcome.check("raise", &["refused"]);
    for line in ["core (0, 0)", "stdin True", "fds [0, 1, 2, 3] 1000", "aborted 6"] {
        assert!(outcome.text.contains(line), "{line} is missing in {}", outcome.text);
    }
}

#[test]
fn what_honest_programs_need_works() {
    let outcome = Case::new("honest").limits(|limits| limits.memory_bytes = 1 << 30).run(
        "
import asyncio, sqlite3, subprocess, threading, multiprocessing as mp
from multiprocessing import shared_memory
def double(x): return 2 * x
tried('sqlite', lambda: sqlite3.connect('/tmp/a.db').execute('create table t (a)'))
context = mp.get_context('fork')
with context.Pool(2) as pool:
    print('pool', pool.map(double, [1, 2, 3]))
memory = shared_memory.SharedMemory(create=True, size=4096); memory.buf[0] = 7
print('shared', memory.buf[0]); memory.close(); memory.unlink()
async def child():
    process = await asyncio.create_subprocess_exec('/bin/echo', 'hello', stdout=subprocess.PIPE)
    return (await process.communicate())[0]
print('asyncio', asyncio.run(child()))
threads = [threading.Thread(target=time.sleep, args=(0.01,)) for _ in range(8)]
[t.start() for t in threads]; [t.join() for t in threads]
print('threads done')
",
    );
    for line in ["sqlite: ok", "pool [2, 4, 6]", "shared 7", "asyncio b'hello\\n'", "threads done"] {
        assert!(outcome.text.contains(line), "{line} is missing in {}", outcome.text);
    }
    assert_eq!(outcome.report.verdict, Verdict::Ok);
}
