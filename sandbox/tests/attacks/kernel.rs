//! Calls that reach other processes, the kernel or the host's name spaces. Numbers are those of x86-64; the tests of the
//! system call list cover every call by name.

#![cfg(target_arch = "x86_64")]

use crate::case::{Case, REFUSED};
use crate::world::{World, enforces};
use ansatz_sandbox::Verdict;

#[test]
fn row_42_ptrace_parent() {
    let outcome = Case::new("ptrace").run(
        "
parent = os.getppid()
call('ptrace attach', 101, 16, parent, 0, 0)
call('ptrace seize', 101, 0x4206, parent, 0, 0)
call('process_vm_readv', 310, parent, 0, 0, 0, 0, 0)
call('process_vm_writev', 311, parent, 0, 0, 0, 0, 0)
call('pidfd_getfd', 438, 0, 0, 0)
call('kcmp', 312, parent, parent, 0, 0, 0)
call('process_madvise', 440, 0, 0, 0, 0, 0)
tried('mem', lambda: opened(f'/proc/{parent}/mem', os.O_RDWR))
call('getpid', 39)
",
    );
    outcome.check_all(
        &[
            "ptrace attach",
            "ptrace seize",
            "process_vm_readv",
            "process_vm_writev",
            "pidfd_getfd",
            "kcmp",
            "process_madvise",
        ],
        &["EPERM"],
    );
    outcome.check("mem", REFUSED);
    outcome.check("getpid", &["ok"]);
    outcome.ended(&[Verdict::Ok]);
}

#[test]
fn row_44_prlimit_pid1() {
    let outcome = Case::new("prlimit").run(
        "
pointer = ctypes.addressof(ctypes.create_string_buffer(struct.pack('QQ', 1, 1)))
call('look at 1', 302, 1, 7, 0, 0)
call('limit 1', 302, 1, 7, pointer, 0)
call('limit parent', 302, os.getppid(), 7, pointer, 0)
call('look at self', 302, 0, 7, 0, 0)
",
    );
    outcome.check_all(&["look at 1", "limit 1", "limit parent"], &["EPERM"]);
    outcome.check("look at self", &["ok"]);
    outcome.ended(&[Verdict::Ok]);
}

#[test]
fn row_48_unshare_mount() {
    let outcome = Case::new("unshare").run(
        "
for name, flag in [('user', 0x10000000), ('mount', 0x20000), ('pid', 0x20000000), ('net', 0x40000000), ('ipc', 0x8000000),
                   ('uts', 0x4000000), ('cgroup', 0x2000000)]:
    call(f'unshare {name}', 272, flag)
    call(f'clone {name}', 56, flag | 17, 0, 0, 0, 0)
call('unshare high bits', 272, 0x10000000 | 1 << 40)
call('mount', 165, 0, 0, 0, 0, 0)
call('umount', 166, 0, 0)
call('setns', 308, 0, 0)
call('pivot_root', 155, 0, 0)
call('chroot', 161, 0)
call('open_tree', 428, -100, 0, 0)
call('move_mount', 429, -1, 0, -1, 0, 0)
call('fsopen', 430, 0, 0)
call('fsconfig', 431, -1, 0, 0, 0, 0)
call('fsmount', 432, -1, 0, 0)
call('mount_setattr', 442, -1, 0, 0, 0, 0)
call('clone3', 435, 0, 0)
pid = os.fork()
if pid == 0:
    os._exit(7)
print('fork:', os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
",
    );
    for name in ["user", "mount", "pid", "net", "ipc", "uts", "cgroup"] {
        outcome.check(&format!("unshare {name}"), &["EPERM"]);
        outcome.check(&format!("clone {name}"), &["EPERM"]);
    }
    let calls = [
        "unshare high bits",
        "mount",
        "umount",
        "setns",
        "pivot_root",
        "chroot",
        "open_tree",
        "move_mount",
        "fsopen",
        "fsconfig",
        "fsmount",
        "mount_setattr",
    ];
    outcome.check_all(&calls, &["EPERM"]);
    outcome.check("clone3", &["ENOSYS"]);
    outcome.check("fork", &["7"]);
    outcome.ended(&[Verdict::Ok]);
}

#[test]
fn row_49_io_uring() {
    let outcome = Case::new("uring").run(
        "call('setup', 425, 1, 0)\ncall('enter', 426, 0, 0, 0, 0, 0)\ncall('register', 427, 0, 0, 0, 0)",
    );
    outcome.check_all(&["setup", "enter", "register"], &["EPERM"]);
    outcome.ended(&[Verdict::Ok]);
}

#[test]
fn row_50_keyrings() {
    let outcome =
        Case::new("keys").run("call('add_key', 248, 0, 0, 0, 0, 0)\ncall('request_key', 249, 0, 0, 0, 0)\ncall('keyctl', 250, 0, -4, 1)");
    outcome.check_all(&["add_key", "request_key", "keyctl"], &["EPERM"]);
    outcome.ended(&[Verdict::Ok]);
}

#[test]
fn row_51_kernel_iface() {
    let outcome = Case::new("interfaces").run(
        "
for name, number, arguments in [('bpf', 321, (0, 0, 0)), ('perf', 298, (0, 0, 0, 0, 0)), ('userfaultfd', 323, (0,)),
                                ('fanotify', 300, (0, 0)), ('name_to_handle', 303, (-100, 0, 0, 0, 0)),
                                ('open_by_handle', 304, (-1, 0, 0)), ('init_module', 175, (0, 0, 0)),
                                ('finit_module', 313, (-1, 0, 0)), ('kexec', 246, (0, 0, 0, 0)), ('reboot', 169, (0, 0, 0, 0)),
                                ('swapon', 167, (0, 0)), ('acct', 163, (0,)), ('iopl', 172, (0,)), ('syslog', 103, (3, 0, 0)),
                                ('modify_ldt', 154, (0, 0, 0)), ('sethostname', 170, (0, 0)), ('move_pages', 279, (0, 0, 0, 0, 0, 0)),
                                ('memfd_secret', 447, (0,)), ('vmsplice', 278, (-1, 0, 0, 0)), ('quotactl', 179, (0, 0, 0, 0)),
                                ('shmget', 29, (4711, 4096, 0o1600)), ('personality', 135, (0x40000,))]:
    call(name, number, *arguments)
call('unknown', 4095)
",
    );
    let calls = [
        "bpf",
        "perf",
        "userfaultfd",
        "fanotify",
        "name_to_handle",
        "open_by_handle",
        "init_module",
        "finit_module",
        "kexec",
        "reboot",
        "swapon",
        "acct",
        "iopl",
        "syslog",
        "modify_ldt",
        "sethostname",
        "move_pages",
        "memfd_secret",
        "vmsplice",
        "quotactl",
        "shmget",
        "personality",
    ];
    outcome.check_all(&calls, &["EPERM"]);
    outcome.check("unknown", &["ENOSYS"]);
    outcome.ended(&[Verdict::Ok]);
}

#[test]
fn row_52_arch_switch() {
    let outcome = Case::new("arch").run(
        "
import mmap
import sys
def apart(name, *call_of):
    pid = os.fork()
    if pid == 0:
        call(name, *call_of)
        sys.stdout.flush()
        os._exit(0)
    if os.waitpid(pid, 0)[1] & 127 == 31:
        print(f'{name}: SIGSYS')
apart('x32 getpid', 0x40000000 + 39)
apart('x32 unshare', 0x40000000 + 272, 0x10000000)
sys.stdout.flush()
code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
code.write(bytes.fromhex('b814000000cd80c3'))
pid = os.fork()
if pid == 0:
    ctypes.CFUNCTYPE(ctypes.c_long)(ctypes.addressof(ctypes.c_char.from_buffer(code)))()
    os._exit(0)
print('int80 ended by', os.waitpid(pid, 0)[1] & 127)
",
    );
    // An engine's filter takes foreign numbers for a foreign architecture.
    let expected: &[&str] =
        if World::current() == World::Engine { &["ENOSYS", "SIGSYS"] } else { &["ENOSYS"] };
    outcome.check_all(&["x32 getpid", "x32 unshare"], expected);
    // SIGSYS; a kernel without 32-bit calls answers with SIGSEGV.
    assert!(outcome.text.contains("ended by 31") || outcome.text.contains("ended by 11"), "{}", outcome.text);
    outcome.ended(&[Verdict::Ok]);
}

#[test]
fn row_53_tiocsti() {
    let outcome = Case::new("tty").run(
        "
import fcntl, pty
tried('terminal', lambda: opened('/dev/tty', os.O_RDWR))
tried('pseudo', lambda: os.openpty())
for name, number in [('TIOCSTI', 0x5412), ('TIOCLINUX', 0x541C), ('TIOCSETD', 0x5423)]:
    for descriptor in (0, 1):
        tried(f'{name} {descriptor}', lambda: fcntl.ioctl(descriptor, number, b'x'))
high = 1 << 40
call('high bits', 16, 0, 0x5412 | high, ctypes.addressof(ctypes.create_string_buffer(b'x')))
",
    );
    outcome.check_all(&["terminal", "pseudo"], &["ENXIO", "ENOENT", "EACCES"]);
    for name in ["TIOCSTI", "TIOCLINUX", "TIOCSETD"] {
        outcome.check_all(&[&format!("{name} 0"), &format!("{name} 1")], &["EPERM"]);
    }
    outcome.check("high bits", &["EPERM", "ENOTTY"]);
    outcome.ended(&[Verdict::Ok]);
}

#[test]
fn row_56_clock() {
    let outcome = Case::new("clock").run(
        "
pointer = ctypes.addressof(ctypes.create_string_buffer(struct.pack('qq', 1, 1)))
call('clock_settime', 227, 0, pointer)
call('settimeofday', 164, pointer, 0)
call('adjtimex', 159, ctypes.addressof(ctypes.create_string_buffer(300)))
call('clock_adjtime', 305, 0, 0)
time.time = lambda: 0.0
time.monotonic = lambda: 0.0
time.sleep(0.4)
",
    );
    outcome.check_all(&["clock_settime", "settimeofday", "adjtimex", "clock_adjtime"], &["EPERM"]);
    assert!(outcome.report.wall_s >= 0.4, "the host measures by its own clock: {}", outcome.report.wall_s);
    outcome.ended(&[Verdict::Ok]);
}

#[test]
fn calls_of_ordinary_programs_are_allowed() {
    let outcome = Case::new("ordinary").run(
        "
import select, tempfile
call('getpid', 39)
call('getrandom', 318, ctypes.addressof(ctypes.create_string_buffer(8)), 8, 0)
call('sched_yield', 24)
tried('pipe', lambda: os.pipe())
tried('epoll', lambda: select.epoll().close())
tried('eventfd', lambda: os.close(os.eventfd(0)))
tried('memfd', lambda: os.close(os.memfd_create('x')))
tried('rename', lambda: (open('/tmp/a', 'w').close(), os.rename('/tmp/a', '/tmp/b')))
tried('affinity', lambda: os.sched_getaffinity(0))
tried('temporary', lambda: tempfile.TemporaryFile().close())
",
    );
    outcome.check_all(
        &[
            "getpid",
            "getrandom",
            "sched_yield",
            "pipe",
            "epoll",
            "eventfd",
            "rename",
            "affinity",
            "temporary",
        ],
        &["ok"],
    );
    assert!(enforces("system calls"), "{:?}", crate::world::launcher().effective());
    outcome.ended(&[Verdict::Ok]);
}
