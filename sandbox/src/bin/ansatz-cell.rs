//! The helper of a cell as a program of its own, for the tests of this crate and for people who embed it.

fn main() {
    if std::env::args().nth(1).as_deref() == Some(ansatz_sandbox::CELL_SUBCOMMAND) {
        ansatz_sandbox::cell_main();
    }
    std::process::exit(2);
}
