//! Trials inside one cell: each in a leaf of its own, none able to harm the zygote or a neighbour.

use crate::case::{Case, MIB, PATIENCE, shared_folder};
use crate::world::{World, enforces, has_groups, may_skip};
use ansatz_sandbox::{Cell, Leaf, LeafLimits, Verdict};
use std::time::{Duration, Instant};

const ROOMY: LeafLimits =
    LeafLimits { memory_bytes: 256 * MIB, pids: 32, wall: Some(Duration::from_secs(30)) };

struct Zygote {
    case: Case,
    cell: Cell,
    _source: tempfile::TempDir,
}

impl Zygote {
    fn start(what: &str) -> Self {
        let source = shared_folder();
        std::fs::write(source.path().join("mini_zygote.py"), include_str!("mini_zygote.py")).unwrap();
        let case = Case::new(what).mount(source.path(), "/in/source");
        let cell = case.start(&["/in/source/mini_zygote.py"]);
        assert_eq!(cell.recv(PATIENCE).unwrap().as_deref(), Some(&br#"{"event":"ready"}"#[..]));
        Self { case, cell, _source: source }
    }

    fn fork(&self, trial: u32, limits: LeafLimits) -> Leaf {
        let request = format!(r#"{{"op":"fork","trial":{trial},"out":"/out/t{trial}"}}"#);
        self.cell.fork(trial, request.as_bytes(), limits).unwrap_or_else(|error| {
            panic!("{error}: {}\n{}", error.kind(), self.cell.log().text());
        })
    }

    /// Runs code in a trial that has locked itself, and returns its answer.
    fn run(&self, trial: u32, code: &str) -> String {
        let leaf = self.fork(trial, ROOMY);
        order(&leaf, code, &[]);
        let answer = text(&leaf);
        leaf.finish();
        answer
    }

    fn end(self) {
        self.cell.send(br#"{"op":"stop"}"#, &[]).unwrap();
        assert!(self.cell.wait(PATIENCE));
        self.case.end(&self.cell).ended(&[Verdict::Ok]);
    }
}

fn order(leaf: &Leaf, code: &str, blobs: &[&[u8]]) {
    let order = serde_json::json!({"code": code, "lock": format!("/out/t{}", leaf.trial())});
    leaf.send_sealed(order.to_string().as_bytes(), blobs).unwrap();
}

fn text(leaf: &Leaf) -> String {
    leaf.recv(PATIENCE).unwrap().map_or_else(|| "closed".into(), |bytes| String::from_utf8(bytes).unwrap())
}

#[test]
fn a_trial_gets_its_data_answers_and_leaves_a_file() {
    let zygote = Zygote::start("trial");
    let leaf = zygote.fork(1, ROOMY);
    order(
        &leaf,
        "import os\nresult = os.read(sealed[0], 100).decode()\nopen('/out/t1/pred', 'w').write(result)",
        &[b"labels"],
    );
    assert_eq!(text(&leaf), r#"{"event": "done", "result": "labels"}"#);
    let report = leaf.finish();
    assert_eq!((report.verdict, report.survivors), (Verdict::Ok, 0));
    // In a container trials have no groups of their own.
    assert!(!has_groups() || World::current() == World::Engine || report.memory_peak_bytes > 0);
    assert_eq!(zygote.cell.collect("t1/pred", 100).unwrap(), b"labels");
    zygote.cell.remove("t1").unwrap();
    assert!(zygote.cell.collect("t1/pred", 100).is_err());
    zygote.end();
}

#[test]
fn sealed_data_cannot_be_changed() {
    let zygote = Zygote::start("sealed");
    let leaf = zygote.fork(1, ROOMY);
    order(
        &leaf,
        "import os\ntry:\n  os.write(sealed[0], b'x'); result = 'written'\nexcept OSError as e:\n  result = e.errno",
        &[b"y"],
    );
    assert_eq!(text(&leaf), r#"{"event": "done", "result": 1}"#);
    leaf.finish();
    zygote.end();
}

#[test]
fn one_trials_memory_kills_one_trial() {
    let zygote = Zygote::start("leafmem");
    let neighbour = zygote.fork(1, ROOMY);
    let greedy = zygote.fork(2, LeafLimits { memory_bytes: 48 * MIB, ..ROOMY });
    order(
        &greedy,
        "kept = []\nimport time\nwhile True:\n  kept.append(bytearray(1 << 20)); time.sleep(0.002)",
        &[],
    );
    let ending = text(&greedy);
    let report = greedy.finish();
    if has_groups() {
        assert_eq!((ending.as_str(), report.verdict), ("closed", Verdict::Oom));
    } else {
        // Refused by its own limit, or seen and killed.
        assert!(
            report.verdict == Verdict::Oom || ending.contains("MemoryError"),
            "{ending} {:?}",
            report.verdict
        );
    }
    order(&neighbour, "result = 'unharmed'", &[]);
    assert_eq!(text(&neighbour), r#"{"event": "done", "result": "unharmed"}"#);
    assert_eq!(neighbour.finish().verdict, Verdict::Ok);
    zygote.end();
}

#[test]
fn what_a_trial_leaves_behind_is_swept_and_its_neighbour_is_not() {
    let zygote = Zygote::start("sweep");
    let neighbour = zygote.fork(1, ROOMY);
    let daemon = zygote.fork(2, ROOMY);
    order(
        &daemon,
        "
import os, signal, time
for _ in range(3):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            time.sleep(300)
        os._exit(0)
time.sleep(0.1)
result = 'left three'
",
        &[],
    );
    assert_eq!(text(&daemon), r#"{"event": "done", "result": "left three"}"#);
    let report = daemon.finish();
    assert!(report.survivors >= 3, "{report:?}");
    let processes = "
import os, time
# What was killed may need a moment to be gone.
for _ in range(200):
    states = []
    for p in os.listdir('/proc'):
        try: states.append(open(f'/proc/{p}/stat').read().rsplit(')', 1)[1].split()[0]) if p.isdigit() else None
        except OSError: pass
    result = len([state for state in states if state not in 'ZX'])
    if result <= 3: break
    time.sleep(0.02)";
    order(&neighbour, processes, &[]);
    // PID 1, the zygote and the neighbour itself.
    assert_eq!(text(&neighbour), r#"{"event": "done", "result": 3}"#);
    assert_eq!(neighbour.finish().verdict, Verdict::Ok);
    zygote.end();
}

#[test]
fn a_trial_out_of_time_is_killed_though_its_children_hold_the_channel() {
    let zygote = Zygote::start("leaftime");
    let leaf = zygote.fork(1, LeafLimits { wall: Some(Duration::from_millis(400)), ..ROOMY });
    let begun = Instant::now();
    order(&leaf, "import os, time\nif os.fork() == 0: time.sleep(300)\ntime.sleep(300)", &[]);
    assert_eq!(text(&leaf), "closed");
    assert_eq!(leaf.finish().verdict, Verdict::Timeout);
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
    assert_eq!(zygote.run(2, "result = 'next'"), r#"{"event": "done", "result": "next"}"#);
    zygote.end();
}

#[test]
fn a_trial_that_is_dropped_or_killed_is_gone() {
    let zygote = Zygote::start("drop");
    drop(zygote.fork(1, ROOMY));
    let leaf = zygote.fork(2, ROOMY);
    leaf.kill();
    assert_eq!(text(&leaf), "closed");
    assert_eq!(leaf.finish().verdict, Verdict::Killed);
    zygote.end();
}

#[test]
fn trials_end_with_their_cell() {
    let zygote = Zygote::start("endall");
    let leaf = zygote.fork(1, ROOMY);
    order(&leaf, "import time\ntime.sleep(300)", &[]);
    zygote.cell.kill();
    assert_eq!(text(&leaf), "closed");
    assert!(zygote.cell.wait(PATIENCE));
    assert_eq!(leaf.finish().verdict, Verdict::Killed);
    assert!(zygote.cell.fork(2, b"{}", ROOMY).is_err());
    zygote.case.assert_gone();
}

#[test]
fn row_81_zygote_memory() {
    let zygote = Zygote::start("look");
    let code = "
import os
result = {}
for pid, who in ((os.getppid(), 'zygote'), (os.getpid(), 'self')):
    for name in ('mem', 'environ', 'fd'):
        try:
            (os.listdir if name == 'fd' else lambda path: open(path, 'rb').close())(f'/proc/{pid}/{name}')
            result[f'{who} {name}'] = 'ok'
        except OSError as error:
            result[f'{who} {name}'] = error.errno
";
    let answer: serde_json::Value = serde_json::from_str(&zygote.run(1, code)).unwrap();
    for name in ["mem", "environ", "fd"] {
        assert_eq!(answer["result"][format!("zygote {name}")], 13, "{answer}");
    }
    zygote.end();
}

#[test]
fn row_82_zygote_forge() {
    let zygote = Zygote::start("forge");
    let first = zygote.fork(1, ROOMY);
    let code = "
import os, socket
result = []
for number in range(64):
    try:
        os.fstat(number)
    except OSError:
        continue
    if number > 2 and number != channel.fileno():
        result.append(number)
try:
    socket.socket(fileno=3).send(b'{\"event\":\"exited\",\"trial\":2,\"status\":0}')
    result.append('sent')
except OSError:
    pass
";
    order(&first, code, &[]);
    let said = text(&first);
    let second = zygote.fork(2, ROOMY);
    assert!(
        zygote.cell.recv(Duration::from_millis(100)).unwrap_err().is_timeout(),
        "the control channel must be silent"
    );
    assert!(
        second.recv(Duration::from_millis(100)).unwrap_err().is_timeout(),
        "the neighbour's channel must be silent"
    );
    // Descriptor 3 may be the trial's own channel; then the forged line came here, where it means nothing.
    assert!(said.contains(r#""result": []"#) || said.contains("exited"), "{said}");
    first.finish();
    second.finish();
    zygote.end();
}

#[test]
fn row_83_zygote_kill() {
    if zygote_without_landlock() {
        return;
    }
    let zygote = Zygote::start("signal");
    let neighbour = zygote.fork(1, ROOMY);
    let code = "
import os, time
result = {'locked': locked}
me, zygote = os.getpid(), os.getppid()
for pid in sorted(int(each) for each in os.listdir('/proc') if each.isdigit()):
    if pid != me:
        try:
            os.kill(pid, 19)
            result[str(pid)] = 'ok'
        except OSError as error:
            result[str(pid)] = error.errno
child = os.fork()
if child == 0:
    time.sleep(60)
os.kill(child, 9)
result['own child'] = os.waitpid(child, 0)[1]
";
    let answer: serde_json::Value = serde_json::from_str(&zygote.run(2, code)).unwrap();
    let result = answer["result"].as_object().unwrap();
    assert_eq!((&result["locked"], &result["own child"]), (&true.into(), &9.into()), "{answer}");
    let others: Vec<_> = result.iter().filter(|(name, _)| name.parse::<u32>().is_ok()).collect();
    assert!(others.len() >= 3 && others.iter().all(|(_, errno)| **errno == 1), "{answer}");
    order(&neighbour, "result = 'finishes'", &[]);
    assert_eq!(text(&neighbour), r#"{"event": "done", "result": "finishes"}"#);
    neighbour.finish();
    zygote.end();
}

/// Nothing that one trial writes can be found by the next.
#[test]
fn row_84_fold_relay() {
    if zygote_without_landlock() {
        return;
    }
    let zygote = Zygote::start("relay");
    let code = "
import os
result = {}
def tried(name, action):
    try:
        action(); result[name] = 'ok'
    except OSError as error:
        result[name] = error.errno
tried('tmp', lambda: open('/tmp/message', 'w').write('labels'))
tried('shm', lambda: open('/dev/shm/message', 'w').write('labels'))
tried('out', lambda: open('/out/message', 'w').write('labels'))
tried('own', lambda: open(f'/out/t{trial}/message', 'w').write('labels'))
for name, number, arguments in (('shmget', 29, (4711, 4096, 0o1666)), ('msgget', 68, (4711, 0o1666)), ('semget', 64, (4711, 1, 0o1666)),
                                ('mq_open', 240, (b'/message', 0o101, 0o666, None))):
    result[name] = libc.syscall(number, *arguments)
";
    let answer: serde_json::Value = serde_json::from_str(&zygote.run(1, code)).unwrap();
    for place in ["tmp", "shm", "out"] {
        assert_eq!(answer["result"][place], 13, "{answer}");
    }
    assert_eq!(answer["result"]["own"], "ok", "{answer}");
    if cfg!(target_arch = "x86_64") {
        for call in ["shmget", "msgget", "semget", "mq_open"] {
            assert_eq!(answer["result"][call], -1, "{answer}");
        }
    }
    zygote.end();
}

/// Labels of one trial are nowhere in the memory of the next: neither in the objects that it inherits nor in its pages.
#[test]
fn row_85_label_gc() {
    let zygote = Zygote::start("labels-gc");
    let first = zygote.fork(1, ROOMY);
    // What is sent is seven less than what the hunter's source holds, so that the hunt does not find itself.
    let label = b"label-of-a-validation-row-8547".map(|byte| byte - 7);
    order(&first, "import os\nkept = os.read(sealed[0], 100)\nresult = len(kept)", &[&label]);
    assert_eq!(text(&first), r#"{"event": "done", "result": 30}"#);
    let hunt = r"
import ctypes, gc, os
shifted = bytes((byte + 7) % 256 for byte in range(256))
label, control = b'label-of-a-validation-row-8547', b'control-that-is-there-8547'
planted = bytearray(byte - 7 for byte in control)
end_read, end_write = os.pipe()
def count(token, step=32768):
    found = 0
    with open('/proc/self/maps') as maps:
        spans = [line.split()[0].split('-') for line in maps if line.split()[1].startswith('rw')]
    for start, end in [(int(a, 16), int(b, 16)) for a, b in spans]:
        for place in range(start, end, step):
            # The kernel answers EFAULT where a plain read would end the process.
            copied = libc.write(end_write, ctypes.c_void_p(place), min(step, end - place))
            if copied > 0:
                found += os.read(end_read, copied).translate(shifted).count(token)
    return found
objects = sum(bytes(each).translate(shifted) == label for each in gc.get_objects() if isinstance(each, (bytes, bytearray)))
result = {'objects': objects, 'control': count(control) > 0, 'label': count(label)}
";
    let answer: serde_json::Value = serde_json::from_str(&zygote.run(2, hunt)).unwrap();
    assert_eq!(answer["result"], serde_json::json!({"objects": 0, "control": true, "label": 0}), "{answer}");
    first.finish();
    zygote.end();
}

fn zygote_without_landlock() -> bool {
    !enforces("landlock") && may_skip("landlock", "this kernel has none")
}
