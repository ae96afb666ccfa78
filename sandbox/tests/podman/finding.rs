//! Finding an engine, and what is said when there is none to be had.

use crate::cells::{helper, options};
use ansatz_sandbox::{BackendChoice, EngineOptions, Launcher, LauncherOptions, SandboxError};

fn refused(engine: EngineOptions) -> SandboxError {
    let options = LauncherOptions { backend: BackendChoice::Engine, engine, ..LauncherOptions::default() };
    Launcher::with_options(helper(), &options).expect_err("there is no such engine")
}

fn check(engine: EngineOptions, missing: &str, hint: &str) {
    let error = refused(engine);
    assert!(error.is_unavailable(), "{error}: {}", error.kind());
    assert!(error.kind().to_string().contains(missing), "{}", error.kind());
    assert!(error.hint().unwrap().contains(hint), "{:?}", error.hint());
}

fn at(address: &str) -> EngineOptions {
    EngineOptions { address: Some(address.into()), image: None }
}

#[test]
fn no_socket() {
    check(at("unix:///nowhere/podman.sock"), "no socket at /nowhere/podman.sock", "podman system service");
}

#[test]
fn a_socket_without_anybody_behind_it() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("dead.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    check(at(path.to_str().unwrap()), "Connection refused", "start the engine again");
}

#[test]
fn something_else_behind_the_socket() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("other.sock");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let _ = std::io::Write::write_all(&mut stream, b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi");
        }
    });
    check(at(path.to_str().unwrap()), "a container engine that answers", "");
}

#[test]
fn an_engine_on_another_machine() {
    check(at("tcp://127.0.0.1:2375"), "is not a unix socket", "this kernel");
}

#[test]
fn an_image_that_nobody_has_built() {
    let engine = EngineOptions { image: Some("localhost/never-built:1".into()), ..options().engine };
    check(engine, "image localhost/never-built:1", "sandbox/image/build");
}

#[test]
fn an_image_without_a_python_of_its_own() {
    // The skeleton is in the store once a launcher has been made.
    let _launcher = crate::cells::launcher();
    let images = crate::cells::images();
    let skeleton = images.lines().find(|line| line.contains("ansatz-cell")).expect("the skeleton");
    let engine = EngineOptions { image: Some(skeleton.trim().into()), ..options().engine };
    check(engine, "no label org.ansatz.python", "sandbox/image/build");
}

#[test]
fn a_helper_that_is_none() {
    let error = Launcher::with_options("/bin/ls".into(), &options()).unwrap_err();
    let said = format!("{error}: {}", error.kind());
    assert!(said.contains("it ended with exit code 2") && said.contains("__cell"), "{said}");
}
