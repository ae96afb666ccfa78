//! Data from elsewhere, as a user names them: addresses, OpenML, Hugging Face; against a server on this machine that
//! answers in the format of the real ones.

#![allow(clippy::expect_used, reason = "a test that cannot go on should say where")]

mod common;

use common::files::{FileServer, Page};
use common::{alone, complaints, home, json, program, small_table, succeed};
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

/// A user with a home of its own for what is fetched; the worker's environment is shared.
struct User {
    scratch: tempfile::TempDir,
    server: FileServer,
}

impl User {
    fn new() -> Self {
        let scratch = tempfile::tempdir().expect("a folder");
        // Made on first need, and shared from then on: making it takes minutes.
        std::fs::create_dir_all(home().join("worker")).expect("a folder");
        std::fs::create_dir(scratch.path().join("home")).expect("a folder");
        std::os::unix::fs::symlink(home().join("worker"), scratch.path().join("home/worker"))
            .expect("a link");
        Self { scratch, server: FileServer::start() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    fn program(&self, arguments: &[&str]) -> Command {
        let mut command = program();
        command.args(arguments).current_dir(self.scratch.path()).env("ANSATZ_HOME", self.path("home"));
        command.env("ANSATZ_OPENML_BASE_URL", &self.server.base).env("ANSATZ_HF_BASE_URL", &self.server.base);
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.program(&[&["run"], arguments, &["--no-memory", "--json", "-q"]].concat())
            .output()
            .expect("it starts")
    }

    /// What a dry run concludes.
    fn plan(&self, source: &str) -> Value {
        let output = self.run(&[source, "--dry-run"]);
        assert_eq!(output.status.code(), Some(0), "{}", complaints(&output));
        json(&output)
    }

    /// Why a run is refused: exit code and what is said.
    fn refused(&self, source: &str) -> (Option<i32>, String) {
        let output = self.run(&[source, "--dry-run"]);
        let said = complaints(&output);
        assert!(
            said.contains("hint: ") && !said.contains("panicked") && !said.contains("Traceback"),
            "{said}"
        );
        (output.status.code(), said)
    }

    /// The worker's Python, made by a first run if need be.
    fn python(&self) -> PathBuf {
        let found = || {
            let below = std::fs::read_dir(home().join("worker")).ok()?;
            below.flatten().map(|entry| entry.path().join("bin/python")).find(|path| path.exists())
        };
        found().unwrap_or_else(|| {
            std::fs::write(self.path("first.csv"), small_table(60)).expect("written");
            self.plan("first.csv");
            found().expect("a Python")
        })
    }

    /// A table as Parquet: the y of a CSV text as texts.
    fn parquet(&self, csv: &str) -> Vec<u8> {
        let (from, to) = (self.path("table.csv"), self.path("table.parquet"));
        std::fs::write(&from, csv).expect("written");
        let code = "import sys, pyarrow.csv as c, pyarrow.parquet as p; p.write_table(c.read_csv(sys.argv[1]), sys.argv[2])";
        succeed(Command::new(self.python()).args(["-c", code]).args([&from, &to]));
        std::fs::read(to).expect("a file")
    }
}

fn part(table: &str, from: usize, to: usize) -> String {
    let mut lines = table.lines();
    let header = lines.next().expect("a header");
    let rows: Vec<&str> = lines.skip(from).take(to - from).collect();
    format!("{header}\n{}\n", rows.join("\n"))
}

/// The same table as ARFF.
fn arff(table: &str) -> String {
    let rows: Vec<&str> = table.lines().skip(1).collect();
    format!(
        "% small\n@RELATION small\n@ATTRIBUTE id INTEGER\n@ATTRIBUTE size REAL\n@ATTRIBUTE weight REAL\n@ATTRIBUTE 'when' \
         STRING\n@ATTRIBUTE colour {{red,green,blue}}\n@ATTRIBUTE y {{0,1}}\n@DATA\n{}\n",
        rows.join("\n")
    )
}

fn description(server: &FileServer, more: &Value) -> Value {
    let mut set = json!({
        "id": "31", "name": "small-things", "version": "2", "format": "ARFF", "licence": "Public", "status": "active",
        "url": format!("{}/data/v1/download/31/small.arff", server.base),
        "default_target_attribute": "colour", "row_id_attribute": "id", "ignore_attribute": ["when"],
    });
    for (name, value) in more.as_object().expect("an object") {
        set[name] = value.clone();
    }
    json!({"data_set_description": set})
}

#[test]
fn a_data_set_of_openml_is_fetched_once_and_its_target_is_a_proposal() {
    let _machine = alone();
    let user = User::new();
    let server = &user.server;
    let parquet = json!({"parquet_url": format!("{}/datasets/31/dataset_31.pq", server.base), "md5_checksum": "0".repeat(32)});
    server.put_json("/api/v1/json/data/31", &description(server, &parquet));
    server.put("/datasets/31/dataset_31.pq", Page::File(user.parquet(&small_table(200))));
    let result = user.plan("openml:31");
    assert_eq!(
        (&result["task"]["target"], &result["task"]["id"]),
        (&json!("colour"), &json!("id")),
        "{result}"
    );
    assert!(
        result["dropped"]
            .as_array()
            .expect("a list")
            .iter()
            .any(|it| it["column"] == "when" && it["reason"] == "ignored")
    );
    let source = &result["sources"][0];
    assert_eq!(
        (&source["licence"], &source["version"], &source["was_cached"]),
        (&json!("Public"), &json!("2"), &json!(false))
    );
    assert_eq!(source["sha256"].as_str().map(str::len), Some(64));
    assert_eq!(server.take_seen(), ["/api/v1/json/data/31 200", "/datasets/31/dataset_31.pq 200"]);

    // By the address of its page, with a target of the user's own, to the end; the file is there already.
    let page = format!("{}/d/31", server.base);
    let out = user.path("out").display().to_string();
    let output = user.run(&[&page, "--target", "y", "--trials", "12", "--out", &out]);
    assert_eq!(output.status.code(), Some(0), "{}", complaints(&output));
    let result = json(&output);
    assert_eq!((&result["task"]["target"], &result["sources"][0]["was_cached"]), (&json!("y"), &json!(true)));
    assert_eq!(server.take_seen(), ["/api/v1/json/data/31 200"]);
    let journal = std::fs::read_to_string(user.path("out/journal.jsonl")).expect("a journal");
    assert!(journal.contains("\"event\":\"fetched\""));
    let report = std::fs::read_to_string(user.path("out/report.html")).expect("a report");
    assert!(
        report.contains("Where the data came from")
            && report.contains("openml:31")
            && report.contains("Public")
    );

    // Out of reach, the copy stands in, and it is said.
    server.put("/api/v1/json/data/31", Page::Says(503, "text/plain", "down".into()));
    let result = user.plan("openml:31");
    let warnings = result["warnings"].to_string();
    assert!(warnings.contains("the copy of an earlier run is used"), "{warnings}");
}

#[test]
fn openml_without_parquet_is_read_as_arff_and_checked() {
    let _machine = alone();
    let user = User::new();
    let server = &user.server;
    let text = arff(&small_table(200));
    std::fs::write(user.path("x"), &text).expect("written");
    let code = "import hashlib,sys; print(hashlib.md5(open(sys.argv[1],'rb').read()).hexdigest())";
    let sum = Command::new(user.python()).args(["-c", code]).arg(user.path("x")).output().expect("it starts");
    let sum = String::from_utf8_lossy(&sum.stdout).trim().to_owned();
    // The Parquet file that is told of is not there; a name finds the number.
    let more = json!({"parquet_url": format!("{}/gone.pq", server.base), "md5_checksum": sum, "default_target_attribute": "y"});
    server.put_json("/api/v1/json/data/31", &description(server, &more));
    server.put("/data/v1/download/31/small.arff", Page::File(text.clone().into_bytes()));
    let list =
        json!({"data": {"dataset": [{"did": 31, "name": "small-things", "version": 2, "status": "active"}]}});
    server.put_json("/api/v1/json/data/list/data_name/small-things/limit/100/status/active", &list);
    let result = user.plan("openml:small-things");
    assert_eq!(
        (&result["task"]["target"], &result["task"]["problem"]),
        (&json!("y"), &json!("binary")),
        "{result}"
    );
    assert_eq!(result["sources"][0]["checked"], "md5");
    assert!(result["warnings"].to_string().contains("ARFF is read instead"));

    let wrong = json!({"md5_checksum": "f".repeat(32)});
    server.put_json("/api/v1/json/data/32", &description(server, &wrong));
    server.put("/data/v1/download/31/small.arff", Page::File(text.replace("red", "tan").into_bytes()));
    let (exit, said) = user.refused("openml:32");
    assert!(exit == Some(5) && said.contains("is damaged: its MD5 is"), "{said}");
}

#[test]
fn splits_of_hugging_face_become_training_and_test_rows() {
    let _machine = alone();
    let user = User::new();
    let server = &user.server;
    let table = small_table(300);
    server.put_json(
        "/api/datasets/owner/things",
        &json!({"id": "owner/things", "sha": "abc123", "cardData": {"license": "mit"}, "siblings": []}),
    );
    let at = |rest: &str| format!("/api/datasets/owner/things/parquet{rest}");
    // Addresses in a reply are not called; they are made from the base.
    let files = json!({"default": {"train": ["http://192.0.2.1/0", "http://192.0.2.1/1"], "test": ["x"], "validation": ["y"]}});
    server.put_json(&at(""), &files);
    server.put(&at("/default/train/0.parquet"), Page::File(user.parquet(&part(&table, 0, 120))));
    server.put(&at("/default/train/1.parquet"), Page::File(user.parquet(&part(&table, 120, 240))));
    server.put(&at("/default/test/0.parquet"), Page::File(user.parquet(&part(&table, 240, 300))));
    let out = user.path("out").display().to_string();
    let output = user.run(&["hf:owner/things", "--target", "y", "--trials", "12", "--out", &out]);
    assert_eq!(output.status.code(), Some(0), "{}", complaints(&output));
    let result = json(&output);
    let sources = result["sources"].as_array().expect("a list");
    assert_eq!(sources.len(), 3);
    assert_eq!((&sources[0]["licence"], &sources[0]["version"]), (&json!("mit"), &json!("abc123")));
    assert!(result["warnings"].to_string().contains("not used: the split validation"));
    let submission = std::fs::read_to_string(user.path("out/submission.csv")).expect("a submission");
    assert_eq!(submission.lines().count(), 61);
    let profiled = std::fs::read_to_string(user.path("out/setup.json")).expect("a set-up");
    assert!(profiled.contains("\"train_rows\": 240"), "both parts are read");

    // Without a conversion, files of the repository are found by their names; a second run fetches none of them.
    let card =
        json!({"sha": "def", "siblings": [{"rfilename": "README.md"}, {"rfilename": "data/train.csv"}]});
    server.put_json("/api/datasets/plain", &card);
    server.put("/datasets/plain/resolve/main/data/train.csv", Page::Leads("/store/1".into()));
    server.put("/store/1", Page::File(table.clone().into_bytes()));
    server.take_seen();
    assert_eq!(user.plan(&format!("{}/datasets/plain", server.base))["task"]["target"], "y");
    assert!(server.take_seen().contains(&"/store/1 200".to_owned()));
    user.plan("hf:plain");
    assert!(
        !server.take_seen().iter().any(|line| line.starts_with("/store") || line.starts_with("/datasets"))
    );

    server.put(
        "/api/datasets/no/such",
        Page::Says(401, "application/json", r#"{"error":"Invalid username"}"#.into()),
    );
    let (exit, said) = user.refused("hf:no/such");
    assert!(
        exit == Some(5) && said.contains("there is no Hugging Face data set no/such, or it is private"),
        "{said}"
    );
}

#[test]
fn a_file_at_an_address_is_fetched_whole_and_once() {
    let _machine = alone();
    let user = User::new();
    let server = &user.server;
    let table = small_table(4000);
    server.put("/deep/small.csv", Page::Breaking(table.clone().into_bytes()));
    let address = format!("{}/deep/small.csv?token=very-secret", server.base);
    let result = user.plan(&address);
    assert_eq!(result["task"]["target"], "y");
    assert_eq!(
        server.take_seen(),
        ["/deep/small.csv?token=very-secret 200", "/deep/small.csv?token=very-secret 206"]
    );
    assert!(!result.to_string().contains("very-secret"), "what may be secret in an address is not shown");
    assert_eq!(user.plan(&address)["sources"][0]["was_cached"], true);
    assert_eq!(server.take_seen(), ["/deep/small.csv?token=very-secret 304"]);
    // Another version is fetched.
    server.put("/deep/small.csv?token=very-secret", Page::File(table.replace("red", "rot").into_bytes()));
    assert_eq!(user.plan(&address)["sources"][0]["was_cached"], false);

    let code = "import sys,zipfile\nwith zipfile.ZipFile(sys.argv[1],'w',zipfile.ZIP_DEFLATED) as z:\n \
                z.writestr('d/train.csv',sys.argv[2]); z.writestr('d/test.csv',sys.argv[3]); z.writestr('../evil.csv','x')";
    let (train, test) = (
        part(&table, 0, 300),
        part(&table, 300, 330)
            .lines()
            .map(|line| line.rsplit_once(',').expect("y").0.to_owned() + "\n")
            .collect::<String>(),
    );
    succeed(Command::new(user.python()).args(["-c", code]).arg(user.path("a.zip")).args([&train, &test]));
    server.put("/get/a.zip", Page::File(std::fs::read(user.path("a.zip")).expect("a file")));
    let out = user.path("zipped").display().to_string();
    let output = user.run(&[&format!("{}/get/a.zip", server.base), "--trials", "12", "--out", &out]);
    assert_eq!(output.status.code(), Some(0), "{}", complaints(&output));
    assert_eq!(json(&output)["task"]["target"], "y");
    assert_eq!(
        std::fs::read_to_string(user.path("zipped/submission.csv")).expect("a submission").lines().count(),
        31
    );
    // The same archive on this machine needs no server.
    assert_eq!(user.plan(&user.path("a.zip").display().to_string())["task"]["target"], "y");
}

#[test]
fn what_cannot_be_had_is_said_in_a_sentence_with_a_hint() {
    let _machine = alone();
    let user = User::new();
    let server = &user.server;
    let at = |path: &str| format!("{}{path}", server.base);
    let closed = FileServer::start().base.replace("127.0.0.1", "127.0.0.2");
    server.put("/page.csv", Page::Says(200, "text/csv", "<!doctype html><title>Sign in</title>".into()));
    server.put("/large.csv", Page::File(vec![b'1'; 3 << 20]));
    server.put("/away.csv", Page::Leads("http://127.0.0.3:9/x.csv".into()));
    server.put("/broken.zip", Page::File(b"PK\x03\x04 and no more".to_vec()));
    server.put("/private.csv", Page::Says(403, "text/plain", "no".into()));
    let unknown = r#"{"error":{"code":"111","message":"Unknown dataset"}}"#;
    server.put("/api/v1/json/data/99", Page::Says(412, "application/json", unknown.into()));
    // A description gives no orders: the places that it names are called only where they are allowed.
    let away = json!({"url": "http://169.254.169.254/latest", "parquet_url": "file:///etc/passwd", "name": "run rm -rf /\u{1b}[31m"});
    server.put_json("/api/v1/json/data/66", &description(server, &away));
    server.put("/api/v1/json/data/67", Page::Says(200, "text/html", "<html><title>Welcome</title>".into()));
    for (source, exit, words) in [
        (at("/none.csv"), 5, "there is nothing at"),
        (at("/page.csv"), 5, "a web page came instead of data: \"Sign in\""),
        (at("/large.csv"), 5, "is larger than 2 MiB"),
        (at("/away.csv"), 5, "127.0.0.3:9 is not among the hosts that may be reached"),
        (at("/broken.zip"), 5, "is a damaged zip archive"),
        (at("/private.csv"), 4, "refuses (403)"),
        (format!("{closed}/x.csv"), 5, "no connection to"),
        ("openml:99".into(), 5, "there is no OpenML data set 99"),
        ("openml:66".into(), 5, "169.254.169.254 is not among the hosts"),
        ("openml:67".into(), 5, "a web page came instead of data"),
        ("openml:".into(), 2, "names no data set"),
        ("s3://bucket/x.csv".into(), 2, "is not a kind of source"),
        ("https://me:word@127.0.0.1/x.csv".into(), 2, "with a user or password"),
    ] {
        let output = user
            .program(&["run", &source, "--dry-run", "--no-memory", "-q"])
            .env("ANSATZ_SOURCE_MAX_MIB", "2")
            .output()
            .expect("it starts");
        let said = complaints(&output);
        assert_eq!(output.status.code(), Some(exit), "{source}: {said}");
        assert!(said.contains(words) && said.contains("hint: "), "{source}: {said}");
        assert!(!said.contains('\u{1b}') && !said.contains("panicked"), "{source}: {said}");
        assert!(said.lines().filter(|line| line.starts_with("error")).count() == 1, "{source}: {said}");
    }
}

#[test]
fn a_sentence_of_a_chat_may_name_a_source() {
    let _machine = alone();
    let user = User::new();
    user.server.put("/things.csv", Page::File(small_table(200).into_bytes()));
    let mut chat = user.program(&["chat"]);
    let mut chat =
        chat.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let line = format!("predict y in {}/things.csv, AUC, 12 trials\nyes\n", user.server.base);
    chat.stdin.take().expect("a pipe").write_all(line.as_bytes()).expect("written");
    let output = chat.wait_with_output().expect("an end");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}\n{}", complaints(&output));
    let runs: Vec<PathBuf> =
        std::fs::read_dir(user.path("runs")).expect("runs").flatten().map(|entry| entry.path()).collect();
    let [run] = runs.as_slice() else { panic!("one run: {runs:?}") };
    let result = std::fs::read_to_string(run.join("result.json")).expect("a result");
    let result: Value = serde_json::from_str(&result).expect("JSON");
    assert_eq!((&result["task"]["target"], &result["sources"][0]["was_cached"]), (&json!("y"), &json!(true)));
}

#[test]
fn a_server_fetches_only_from_where_it_may() {
    let _machine = alone();
    let user = User::new();
    let server = &user.server;
    server.put("/things.csv", Page::File(small_table(200).into_bytes()));
    server.put_json("/api/v1/json/data/31", &description(server, &json!({"default_target_attribute": "y"})));
    server.put("/data/v1/download/31/small.arff", Page::File(arff(&small_table(200)).into_bytes()));
    let mut serving = user
        .program(&["serve", "--port", "0", "--", "--trials", "12", "--no-memory"])
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let base = listening(&mut serving);
    let elsewhere = FileServer::start();
    elsewhere.put("/things.csv", Page::File(small_table(200).into_bytes()));
    let (status, body) = post(&base, &json!({"data": format!("{}/things.csv", elsewhere.base)}));
    assert!(status == 422 && body["detail"].to_string().contains("fetches nothing from"), "{status} {body}");
    assert!(elsewhere.take_seen().is_empty());
    let (status, body) = post(&base, &json!({"data": "openml:31"}));
    assert_eq!(status, 202, "{body}");
    let id = body["id"].as_str().expect("an id").to_owned();
    // A folder comes as an archive.
    let code =
        "import sys,zipfile\nwith zipfile.ZipFile(sys.argv[1],'w') as z: z.writestr('train.csv',sys.argv[2])";
    let archive = user.path("b.zip");
    succeed(Command::new(user.python()).args(["-c", code]).arg(&archive).arg(small_table(200)));
    let bytes = std::fs::read(&archive).expect("an archive");
    let (status, body) = send(&base, "/v1/uploads?name=shop.zip", "application/zip", &bytes);
    assert_eq!(status, 201, "{body}");
    let (status, body) = post(&base, &json!({"upload": body["id"], "task": "predict y"}));
    assert_eq!(status, 202, "{body}");
    let other = body["id"].as_str().expect("an id").to_owned();
    let results = [id, other].map(|id| user.path("runs").join(id).join("result.json"));
    let begun = std::time::Instant::now();
    while !results.iter().all(|result| result.exists()) && begun.elapsed() < Duration::from_mins(3) {
        std::thread::sleep(Duration::from_millis(100));
    }
    let results = results.map(|result| std::fs::read_to_string(result).expect("a result"));
    let _ = serving.kill();
    let _ = serving.wait();
    let [named, archive] = results.map(|text| serde_json::from_str::<Value>(&text).expect("JSON"));
    assert_eq!(
        (&named["status"], &named["sources"][0]["source"]),
        (&json!("succeeded"), &json!("openml:31"))
    );
    assert_eq!((&archive["status"], &archive["task"]["target"]), (&json!("succeeded"), &json!("y")));
}

/// The address that a server says it listens at.
fn listening(serving: &mut std::process::Child) -> String {
    use std::io::BufRead as _;
    let mut lines = std::io::BufReader::new(serving.stderr.take().expect("a pipe")).lines();
    let line =
        lines.find_map(|line| line.ok().filter(|line| line.contains("listening on"))).expect("an address");
    std::thread::spawn(move || lines.for_each(drop));
    line.split_whitespace().last().expect("an address").trim_start_matches("http://").to_owned()
}

fn post(place: &str, body: &Value) -> (u16, Value) {
    send(place, "/v1/tasks", "application/json", body.to_string().as_bytes())
}

fn send(place: &str, path: &str, kind: &str, body: &[u8]) -> (u16, Value) {
    use std::io::Read as _;
    let mut stream = std::net::TcpStream::connect(place).expect("a connection");
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    )
    .and_then(|()| stream.write_all(body))
    .expect("sent");
    let mut reply = String::new();
    stream.read_to_string(&mut reply).expect("a reply");
    let status = reply.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    let start = reply.find("\r\n\r\n").expect("a body") + 4;
    let json_start = reply[start..].find('{').map_or(start, |at| start + at);
    let end = reply.rfind('}').map_or(reply.len(), |at| at + 1);
    (status, serde_json::from_str(&reply[json_start..end]).unwrap_or(Value::Null))
}
