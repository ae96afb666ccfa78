//! What prompts say about code is what the static check holds code to.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use ansatz_agents::code::{self, Part};
use ansatz_agents::data;
use ansatz_agents::model::{self, Brief, Broken, Failure};
use ansatz_agents::planner::Idea;
use ansatz_core::budget::Budget;
use ansatz_core::profile::Profile;
use ansatz_prompts::planner::BranchKind;
use ansatz_prompts::{Case, Level, Machine, Prompts, Sight};
use ansatz_sandbox::check::{self, Finding, FindingKind};
use std::collections::BTreeSet;

/// The modules of Python's own library.
const LIBRARY: &str = "\
    __future__ abc aifc argparse array ast asynchat asyncio asyncore atexit audioop base64 bdb binascii \
    bisect builtins bz2 cProfile calendar cgi cgitb chunk cmath cmd code codecs codeop collections colorsys \
    compileall concurrent configparser contextlib contextvars copy copyreg crypt csv ctypes curses \
    dataclasses datetime dbm decimal difflib dis distutils doctest email encodings ensurepip enum errno \
    faulthandler fcntl filecmp fileinput fnmatch fractions ftplib functools gc genericpath getopt getpass \
    gettext glob graphlib grp gzip hashlib heapq hmac html http idlelib imaplib imghdr imp importlib inspect \
    io ipaddress itertools json keyword lib2to3 linecache locale logging lzma mailbox mailcap marshal math \
    mimetypes mmap modulefinder msilib msvcrt multiprocessing netrc nis nntplib nt ntpath nturl2path numbers \
    opcode operator optparse os ossaudiodev pathlib pdb pickle pickletools pipes pkgutil platform plistlib \
    poplib posix posixpath pprint profile pstats pty pwd py_compile pyclbr pydoc pydoc_data pyexpat queue \
    quopri random re readline reprlib resource rlcompleter runpy sched secrets select selectors shelve shlex \
    shutil signal site smtpd smtplib sndhdr socket socketserver spwd sqlite3 sre_compile sre_constants \
    sre_parse ssl stat statistics string stringprep struct subprocess sunau symtable sys sysconfig syslog \
    tabnanny tarfile telnetlib tempfile termios textwrap threading time timeit tkinter token tokenize \
    tomllib trace traceback tracemalloc tty turtle turtledemo types typing unicodedata unittest urllib uu \
    uuid venv warnings wave weakref webbrowser winreg winsound wsgiref xdrlib xml xmlrpc zipapp zipfile \
    zipimport zlib zoneinfo";

/// Modules that scripts may import beside those of solutions.
const FOR_SCRIPTS: [&str; 5] = ["os", "pathlib", "sys", "glob", "shutil"];

fn case() -> Case {
    let profile = Profile {
        train_rows: 9,
        test_rows: 0,
        columns: Vec::new(),
        sample: None,
        notices: Vec::new(),
        data_hash: "h".into(),
    };
    let (machine, budget) = (Machine { cores: 1, gpus: 0 }, Budget::default());
    let sight = Sight {
        nonce: "n".into(),
        profile: &profile,
        rows: &[],
        machine: &machine,
        budget: &budget,
        level: Level::Full,
    };
    Case::unknown("data", "predict y", &sight)
}

fn idea(kind: BranchKind, base: &str) -> Idea {
    Idea {
        name: "a".into(),
        kind,
        base: base.into(),
        what: "sizes".into(),
        inputs: Vec::new(),
        check: String::new(),
        predicted: None,
    }
}

/// The question for code of a kind, as it is sent.
fn question(kind: BranchKind) -> String {
    let (case, idea, prompts) = (case(), idea(kind, "lightgbm"), Prompts::built_in().unwrap());
    let rendered = if kind == BranchKind::NewFeatures {
        prompts.render(&data::features(&case, &idea, "9 s", &[]))
    } else {
        let (cards, lessons) = (&[], &[]);
        let brief = Brief { case: &case, idea: &idea, seconds: 9, threads: 1, cards, best: None, lessons };
        prompts.render(&model::solution(&brief))
    };
    rendered.unwrap().user
}

/// The question for a correction of code of a kind, as it is sent.
fn correction(kind: BranchKind) -> String {
    let failure = Failure { stage: "fit".into(), kind: "error".into(), error: "e".into() };
    let (case, code, limit) = (case(), "x = 1", "9 s");
    let broken = Broken { case: &case, code, kind, failure: &failure, limit, attempt: 1, earlier: &[] };
    Prompts::built_in().unwrap().render(&model::debug(&broken)).unwrap().user
}

/// Packages and modules that a question allows.
fn named(question: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let (_, rest) = question.split_once("It may import ").unwrap();
    let (allowed, _) = rest.split_once(". Anything else is refused.").unwrap();
    let (packages, library) = allowed.split_once(", and of Python's own library ").unwrap();
    let list = |text: &str| text.split(", ").map(|name| name.trim_matches('`').to_owned()).collect();
    (list(packages), list(library))
}

fn is_allowed<T>(checked: &Result<T, Vec<Finding>>) -> bool {
    let mut findings = checked.as_ref().err().into_iter().flatten();
    findings.all(|finding| finding.kind != FindingKind::Import)
}

#[test]
fn every_question_for_code_names_the_modules_that_pass_the_check() {
    let library: Vec<&str> = LIBRARY.split_whitespace().collect();
    let passes = |name: &&&str| is_allowed(&check::solution(&format!("import {name}\n")));
    let passing: BTreeSet<String> = library.iter().filter(passes).map(ToString::to_string).collect();
    for kind in [BranchKind::NewFeatures, BranchKind::NewSolution, BranchKind::Script] {
        for question in [question(kind), correction(kind)] {
            let (packages, modules) = named(&question);
            assert_eq!(modules, passing, "{kind:?}");
            for package in packages {
                let checked = check::solution(&format!("import {package}\n"));
                assert!(is_allowed(&checked), "{kind:?}: {package}");
            }
        }
    }
}

#[test]
fn scripts_are_told_what_they_alone_may_import() {
    let question = question(BranchKind::Script);
    for name in FOR_SCRIPTS {
        let source = format!("import {name}\n");
        assert!(is_allowed(&check::script(&source, &[])) && !is_allowed(&check::solution(&source)), "{name}");
    }
    let told = "A script may import os, pathlib, sys, glob and shutil as well.";
    assert!(question.contains(told), "{question}");
}

#[test]
fn what_features_begin_with_passes_the_check_and_can_be_revised() {
    let parts = |source: &str| -> Vec<Part> {
        let outline = check::outline(source).unwrap();
        outline.into_iter().map(|(name, span)| Part { name, span }).collect()
    };
    for base in ["lightgbm", "catboost", "linear", "neural"] {
        let module = data::features(&case(), &idea(BranchKind::NewFeatures, base), "9 s", &[]).base;
        assert!(check::solution(&module).is_ok() && code::is_groups(&module), "{module}");
        let revision = "def learn_example(train):\n    return 2\n\n\ndef group_example(rows, learned):\n    return {\"b\": learned}\n";
        let revised = code::revised(&module, &parts(&module), "use_example", revision, &parts(revision));
        let revised = revised.unwrap();
        assert!(check::solution(&revised).is_ok(), "{revised}");
        let names: Vec<String> = parts(&revised).into_iter().map(|part| part.name).collect();
        assert_eq!(names, ["learn_example", "group_example", "fit_features", "features"]);
    }
}
