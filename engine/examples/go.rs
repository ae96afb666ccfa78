//! temporary driver
use ansatz_core::{budget::Budget, clock::Clock, event::Event, ids::RunId, seed::Seed};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
struct C(Instant);
impl Clock for C {
    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
    fn unix_seconds(&self) -> u64 {
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
    }
}
struct O(Instant);
impl ansatz_engine::Observer for O {
    fn event(&mut self, s: u64, e: &Event) {
        if !matches!(e, Event::Ticked { .. } | Event::Finished { .. }) {
            let t = serde_json::to_string(e).unwrap();
            eprintln!(
                "{:6.2} {s} {}",
                self.0.elapsed().as_secs_f64(),
                t.chars().take(230).collect::<String>()
            );
        }
    }
    fn note(&mut self, n: &ansatz_engine::Note) {
        if !matches!(n, ansatz_engine::Note::Load { .. }) {
            eprintln!("{:6.2} -- {n:?}", self.0.elapsed().as_secs_f64());
        }
    }
}
fn main() {
    let a: Vec<String> = std::env::args().collect();
    if a.get(1).map(String::as_str) == Some("__cell") {
        ansatz_sandbox::cell_main();
    }
    let out = std::path::PathBuf::from(&a[2]);
    let o = ansatz_engine::Options {
        data: a[1].clone().into(),
        request: None,
        target: None,
        id: None,
        metric: None,
        test: None,
        sample: None,
        out,
        run: RunId::new("x"),
        budget: Budget { wall: Some(Duration::from_secs(a[3].parse().unwrap())), ..Budget::default() },
        jobs: 2,
        seed: Seed(0),
        strict: false,
        memory: None,
        home: "/tmp/dev/home".into(),
        plan: None,
        dry_run: false,
    };
    match ansatz_engine::run(o, Arc::new(C(Instant::now())), Box::new(O(Instant::now())), Arc::default()) {
        Ok(r) => println!("{}", serde_json::to_string_pretty(&r).unwrap()),
        Err(e) => println!("ERROR {e:?}"),
    }
}
