//! Reaching for other processes and for privileges; outliving the cell.

use crate::case::{Case, PATIENCE, marked_processes};
use ansatz_sandbox::Verdict;
use std::time::{Duration, Instant};

#[test]
fn row_04_proc_list() {
    let host = std::process::id();
    let mut sleeper = std::process::Command::new("/bin/sleep").arg("60.4711").spawn().unwrap();
    let outcome = Case::new("list").run(&format!(
        "
listed = sorted(int(name) for name in os.listdir('/proc') if name.isdigit())
words = []
for pid in listed:
    try: words.append(open(f'/proc/{{pid}}/cmdline').read().replace(chr(0), ' '))
    except OSError: pass
print('strangers', [each for each in words if '60.' + '4711' in each])
print('few', len(words) <= 4)
for name in ('environ', 'root', 'cwd', 'fd', 'mem'):
    tried(f'host {{name}}', lambda: opened(f'/proc/{host}/{{name}}'))
"
    ));
    sleeper.kill().unwrap();
    sleeper.wait().unwrap();
    outcome.check_lines(&["strangers []", "few True"]);
    outcome
        .check_all(&["host environ", "host root", "host cwd", "host fd", "host mem"], &["ENOENT", "EACCES"]);
    outcome.ended(&[Verdict::Ok]);
}

#[test]
fn row_43_kill_all() {
    let outcome = Case::new("kill").run(
        "
import signal
tried('one', lambda: os.kill(1, 9))
tried('parent', lambda: os.kill(os.getppid(), 9))
tried('stop one', lambda: os.kill(1, signal.SIGSTOP))
tried('all', lambda: os.kill(-1, 9))
tried('group', lambda: os.killpg(os.getpgid(os.getppid()), 0))
pid = os.fork()
if pid == 0:
    time.sleep(60)
tried('child', lambda: os.kill(pid, 9))
print('killed by', os.waitpid(pid, 0)[1])
print('alive', os.path.exists('/proc/1'))
",
    );
    // Landlock refuses; without it PID 1 is deaf to its own name space.
    outcome.check_all(&["one", "parent", "stop one", "all"], &["EPERM", "ESRCH", "ok"]);
    // Whose group that is depends on who makes the walls; signal 0 does nothing.
    outcome.check("group", &["ok", "EPERM", "ESRCH"]);
    outcome.check("child", &["ok"]);
    outcome.check_lines(&["killed by 9", "alive True"]);
    outcome.ended(&[Verdict::Ok]);
}

#[test]
fn row_45_setsid_survivor() {
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
        s = socket.socket(fileno=3)
        s.send(b'settled')
        s.recv(10)
        time.sleep(300)
    os._exit(0)
socket.socket(fileno=3).recv(10)
print('parent leaves')
",
    ]);
    assert_eq!(cell.recv(PATIENCE).unwrap().as_deref(), Some(&b"settled"[..]));
    assert!(!marked_processes(&case.name).is_empty(), "the survivor must be seen while it lives");
    for _ in 0..2 {
        cell.send(b"go", &[]).unwrap();
    }
    let outcome = case.end_of(&cell);
    outcome.check_lines(&["parent leaves"]);
    outcome.ended(&[Verdict::Ok]);
}

/// A child holds the output open after its parent has left: the end is seen all the same.
#[test]
fn row_46_held_pipe() {
    let case = Case::new("pipe");
    let cell = case.start(&[
        "-c",
        "
import os, socket, time
if os.fork() == 0:
    os.setsid()
    time.sleep(300)
print('leaving', flush=True)
s = socket.socket(fileno=3); s.send(b'leaving')
",
    ]);
    assert_eq!(cell.recv(PATIENCE).unwrap().as_deref(), Some(&b"leaving"[..]));
    let begun = Instant::now();
    assert!(cell.wait(PATIENCE));
    // Two seconds, and some for a busy machine.
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let outcome = case.end(&cell);
    outcome.check_lines(&["leaving"]);
    outcome.ended(&[Verdict::Ok]);
}

#[test]
fn row_47_self_exe() {
    let outcome = Case::new("exe").run(
        "
for path in ('/proc/self/exe', '/proc/1/exe', f'/proc/{os.getppid()}/exe', os.path.realpath(sys.executable)):
    tried(path.replace(str(os.getppid()), 'parent'), lambda: opened(path, os.O_WRONLY))
tried('script', lambda: open('/out/run.sh', 'w').write('#!/proc/self/exe'))
",
    );
    let errors = ["EROFS", "EACCES", "EPERM", "ENOENT", "ETXTBSY"];
    outcome.check_all(&["/proc/self/exe"], &errors);
    outcome.check("script", &["ok"]);
    for (name, said) in outcome.text.lines().filter_map(|line| line.rsplit_once(": ")) {
        assert!(name == "script" || errors.contains(&said), "{name}: {said}");
    }
    outcome.ended(&[Verdict::Ok]);
}

#[test]
fn row_54_priv() {
    let outcome = Case::new("priv").run(
        "
import subprocess
for line in open('/proc/self/status'):
    if line.startswith(('NoNewPrivs', 'CapEff', 'CapPrm', 'CapInh', 'CapBnd', 'CapAmb', 'Seccomp:')):
        print(line.split()[0], *line.split()[1:2])
tried('setuid', lambda: os.setuid(0))
tried('setgid', lambda: os.setgid(0))
tried('setgroups', lambda: os.setgroups([0]))
tried('setreuid', lambda: os.setresuid(0, 0, 0))
for program in (['/bin/su', '-c', 'true'], ['/usr/bin/sudo', '-n', 'true'], ['/usr/bin/mount'], ['/usr/bin/newgrp'], ['/bin/ping', '-c1', '127.0.0.1']):
    try: code = subprocess.run(program, stdin=subprocess.DEVNULL, capture_output=True, timeout=10).returncode
    except OSError as error: code = errno.errorcode[error.errno]
    if program[0].endswith(('su', 'sudo')): print(program[0], 'fails', code != 0)
print('identity', os.getuid() != 0, os.geteuid() != 0, 0 not in os.getgroups())
",
    );
    outcome.check_lines(&[
        "NoNewPrivs: 1",
        "Seccomp: 2",
        "CapEff: 0000000000000000",
        "CapPrm: 0000000000000000",
        "CapInh: 0000000000000000",
        "CapBnd: 0000000000000000",
        "CapAmb: 0000000000000000",
        "/bin/su fails True",
        "/usr/bin/sudo fails True",
        "identity True True True",
    ]);
    outcome.check_all(&["setuid", "setgid", "setgroups", "setreuid"], &["EINVAL", "EPERM"]);
    outcome.ended(&[Verdict::Ok]);
}

#[test]
fn row_55_rlimit_raise() {
    let outcome = Case::new("rlimit").limits(|limits| limits.file_bytes = 4 << 20).run(
        "
import resource
for name in ('FSIZE', 'NOFILE', 'CORE', 'NPROC', 'MSGQUEUE', 'RTPRIO', 'NICE', 'MEMLOCK'):
    number = getattr(resource, 'RLIMIT_' + name, {'NICE': 13, 'RTPRIO': 14, 'MSGQUEUE': 12}.get(name))
    soft, hard = resource.getrlimit(number)
    if hard == resource.RLIM_INFINITY:
        print(name + ': unlimited'); continue
    try:
        resource.setrlimit(number, (hard + 1, hard + 1)); print(name + ': ok')
    except (ValueError, OSError):
        print(name + ': refused')
tried('nicer', lambda: os.setpriority(os.PRIO_PROCESS, 0, -5))
tried('fifo', lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)))
print('core', resource.getrlimit(resource.RLIMIT_CORE))
tried('large', lambda: open('/out/large', 'wb').write(bytes(5 << 20)))
",
    );
    for name in ["FSIZE", "NOFILE", "CORE", "RTPRIO", "NICE", "MSGQUEUE"] {
        outcome.check(name, &["refused"]);
    }
    outcome.check_all(&["nicer", "fifo"], &["EACCES", "EPERM"]);
    outcome.check("large", &["EFBIG"]);
    outcome.check_lines(&["core (0, 0)"]);
    outcome.ended(&[Verdict::Ok, Verdict::Quota]);
}

#[test]
fn row_61_memfd_exec() {
    let outcome = Case::new("memfd").run(
        "
try: program = os.memfd_create('program')
except OSError as error: print('exec refused', errno.errorcode[error.errno], flush=True); os._exit(0)
os.write(program, open('/bin/cat', 'rb').read())
pid = os.fork()
if pid == 0:
    try: os.execve(program, ['cat', '/proc/self/status'], {})
    except OSError as error: print('exec refused', errno.errorcode[error.errno], flush=True); os._exit(0)
os.waitpid(pid, 0)
",
    );
    // Allowed, in the same cage; or refused.
    assert!(
        outcome.text.contains("exec refused")
            || outcome.text.contains("Seccomp:\t2") && outcome.text.contains("NoNewPrivs:\t1"),
        "{}",
        outcome.text
    );
    outcome.ended(&[Verdict::Ok]);
}

/// A program writes its own launcher anew and starts itself again and again: time and processes are counted outside.
#[test]
fn row_74_time_limit_edit() {
    let case = Case::new("relaunch").limits(|limits| {
        limits.wall = Some(Duration::from_millis(2500));
        limits.pids = 24;
    });
    let begun = Instant::now();
    let outcome = case.run(
        "
import subprocess
script = '''
import os, subprocess, sys, time
os.environ['TIMEOUT'] = '999999'
os.setsid()
children = []
while True:
    try: children.append(subprocess.Popen([sys.executable, '/out/launcher.py'], stdin=subprocess.DEVNULL))
    except OSError:
        print('refused to start again', flush=True)
        break
while True: time.sleep(1)
'''
open('/out/launcher.py', 'w').write(script)
open('/out/limits.json', 'w').write('{\"wall_s\": 999999}')
subprocess.Popen([sys.executable, '/out/launcher.py'])
while True: time.sleep(1)
",
    );
    outcome.ended(&[Verdict::Timeout]);
    outcome.check_lines(&["refused to start again"]);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[test]
fn signals_inside_a_cell_are_delivered() {
    let outcome = Case::new("signal").run(
        "
import signal
heard = []
signal.signal(signal.SIGUSR1, lambda *_: heard.append(1))
os.kill(os.getpid(), signal.SIGUSR1)
print('heard', heard)
",
    );
    outcome.check_lines(&["heard [1]"]);
    outcome.ended(&[Verdict::Ok]);
}
