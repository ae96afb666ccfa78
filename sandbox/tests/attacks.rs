//! smoke
use ansatz_sandbox::*;
use std::time::Duration;

#[test]
fn smoke() {
    let launcher = match Launcher::new(env!("CARGO_BIN_EXE_ansatz-cell").into()) {
        Ok(l) => l,
        Err(e) => {
            let mut s: &dyn std::error::Error = &e;
            loop {
                eprintln!("{s}");
                match s.source() {
                    Some(n) => s = n,
                    None => break,
                }
            }
            panic!()
        }
    };
    eprintln!("{:#?}", launcher.effective());
    let policy = Policy { mounts: python_mounts("/usr/bin/python3".as_ref()).unwrap(), ..Policy::default() };
    let t = std::time::Instant::now();
    let cell = launcher.start(CellSpec { name: "py".into(), policy, argv: vec!["/usr/bin/python3".into(), "-c".into(), "import os,socket\nprint(os.listdir('/'), os.environ)\nopen('/out/x','w').write('hi')\ns=socket.socket(fileno=3)\nprint(s.recv(100))\ns.send(b'pong')".into()], cwd: "/tmp".into() }).unwrap();
    eprintln!("started {:?}", t.elapsed());
    cell.send(b"ping", &[]).unwrap();
    eprintln!("{:?}", cell.recv(Duration::from_secs(5)).map(|b| b.map(|b| String::from_utf8(b).unwrap())));
    cell.wait(Duration::from_secs(5));
    eprintln!("{:?}", cell.collect("x", 10));
    let r = cell.stop(Duration::ZERO);
    eprintln!("{:?} {:?} {:?} {}\n{}", r.verdict, r.cpu_s, r.memory_peak_bytes, r.wall_s, r.log.text());
    for b in doctor(&launcher) {
        eprintln!("{:?} {} | {} | {}", b.held, b.name, b.tried, b.why);
    }
}
