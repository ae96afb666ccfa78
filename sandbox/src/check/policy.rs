//! What source of each kind may import and call, with a reason for everything that it may not.

use crate::wasm::MODULES;

/// Packages of the worker's environment that solutions may use.
const PACKAGES: &[&str] = &[
    "numpy",
    "pandas",
    "pyarrow",
    "scipy",
    "sklearn",
    "joblib",
    "threadpoolctl",
    "narwhals",
    "lightgbm",
    "catboost",
    "xgboost",
    "dateutil",
    "ansatz_worker",
];

/// Modules of Python's own library that solutions may use beside those of functions.
const LIBRARY: &[&str] = &[
    "abc",
    "contextlib",
    "difflib",
    "hashlib",
    "html",
    "itertools",
    "locale",
    "logging",
    "pprint",
    "reprlib",
    "struct",
    "time",
    "traceback",
    "typing_extensions",
    "warnings",
    "weakref",
    "zlib",
    "zoneinfo",
];

/// Parts of the worker that are made for solutions.
const WORKER_PARTS: &[&str] = &["ansatz_worker.featurekit", "ansatz_worker.solutions", "ansatz_worker.lrkit"];

/// What to say of modules that are refused for a reason of their own.
const REASONS: &[(&[&str], &str)] = &[
    (
        &["os", "pathlib", "shutil", "glob", "tempfile", "fileinput", "fcntl"],
        "rows arrive as arguments and there are no files; leave it out",
    ),
    (
        &["subprocess", "pty", "popen2", "signal", "resource", "atexit"],
        "no program can be started; leave it out",
    ),
    (
        &["multiprocessing", "threading", "concurrent", "_thread", "queue", "sched"],
        "give `threads` to the estimators instead",
    ),
    (
        &[
            "asyncio",
            "socket",
            "ssl",
            "select",
            "selectors",
            "http",
            "urllib",
            "urllib3",
            "requests",
            "httpx",
            "aiohttp",
            "ftplib",
            "smtplib",
            "telnetlib",
            "xmlrpc",
            "webbrowser",
        ],
        "there is no network; everything that is needed arrives as arguments",
    ),
    (
        &[
            "ctypes",
            "cffi",
            "mmap",
            "sys",
            "gc",
            "inspect",
            "importlib",
            "imp",
            "runpy",
            "code",
            "codeop",
            "builtins",
            "ast",
            "dis",
            "tracemalloc",
            "faulthandler",
        ],
        "solutions do not reach into the interpreter; leave it out",
    ),
    (
        &["pickle", "marshal", "shelve", "dill", "cloudpickle", "sqlite3", "dbm"],
        "models are kept by the harness; return them from `fit`",
    ),
    (
        &["torch", "tensorflow", "keras", "jax", "flax", "transformers", "fastai", "pytorch_tabnet"],
        "it is not installed; there are scikit-learn, LightGBM, CatBoost and XGBoost",
    ),
    (
        &[
            "category_encoders",
            "feature_engine",
            "imblearn",
            "statsmodels",
            "optuna",
            "polars",
            "tsfresh",
            "featuretools",
            "nltk",
            "spacy",
        ],
        "it is not installed; write what you need with numpy, pandas and scikit-learn",
    ),
];

/// Names that are never called, with the reason.
const CALLS: &[(&str, &str)] = &[
    ("eval", "write the expression itself"),
    ("exec", "write the code itself"),
    ("compile", "write the code itself"),
    ("__import__", "use an import statement"),
    ("open", "there are no files; everything arrives as arguments"),
    ("input", "nobody is there to answer"),
    ("breakpoint", "nobody is there to look"),
    ("globals", "use arguments and return values"),
    ("exit", "raise an error instead"),
    ("quit", "raise an error instead"),
];

/// Attributes by which code reaches behind objects.
const HIDDEN: &[&str] = &[
    "__subclasses__",
    "__globals__",
    "__builtins__",
    "__code__",
    "__closure__",
    "__bases__",
    "__mro__",
    "__loader__",
    "__spec__",
    "__getattribute__",
    "f_globals",
    "f_locals",
    "f_back",
    "gi_frame",
    "tb_frame",
];

/// Functions of pandas and numpy that read files.
const READERS: &[&str] = &[
    "read_csv",
    "read_table",
    "read_parquet",
    "read_feather",
    "read_json",
    "read_excel",
    "read_pickle",
    "read_sql",
    "read_hdf",
    "read_html",
    "read_xml",
    "loadtxt",
    "genfromtxt",
    "fromfile",
    "memmap",
];

/// What one kind of source may do.
pub(super) struct Rules<'a> {
    kind: Kind,
    packages: &'a [&'a str],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Solution,
    Script,
    Function,
}

impl<'a> Rules<'a> {
    /// For solutions; `packages` are installed beside those of the worker.
    pub(super) fn of_solutions(packages: &'a [&'a str]) -> Self {
        Self { kind: Kind::Solution, packages }
    }

    /// For scripts, which read and write the files of their own cell.
    pub(super) fn of_scripts(packages: &'a [&'a str]) -> Self {
        Self { kind: Kind::Script, packages }
    }

    /// For metrics and checks.
    pub(super) fn of_functions() -> Self {
        Self { kind: Kind::Function, packages: &[] }
    }

    /// Why a module, by its full name, may not be imported.
    pub(super) fn import(&self, module: &str) -> Option<(String, String)> {
        let top = module.split('.').next().unwrap_or(module);
        if self.kind == Kind::Function {
            if MODULES.contains(&top) {
                return None;
            }
            let hint = match top {
                "numpy" | "pandas" | "scipy" | "sklearn" => {
                    "truth and prediction are plain lists; use math, statistics and itertools".to_owned()
                }
                _ => format!("there are: {}", MODULES[1..].join(", ")),
            };
            return Some((format!("`{top}` cannot be imported in a function"), hint));
        }
        if self.packages.contains(&top) {
            return None;
        }
        if top == "ansatz_worker" {
            let inside = |part: &str| module.strip_prefix(part).is_some_and(|rest| rest.starts_with('.'));
            let is_part = WORKER_PARTS.iter().any(|part| module == *part || inside(part));
            if is_part || module == top {
                return None;
            }
            let hint = format!("there is {}", WORKER_PARTS[0]);
            return Some((format!("`{module}` is not for solutions"), hint));
        }
        if PACKAGES.contains(&top) || LIBRARY.contains(&top) || MODULES.contains(&top) {
            return None;
        }
        let reason = REASONS.iter().find(|(modules, _)| modules.contains(&top)).map(|(_, reason)| *reason);
        let files = ["os", "pathlib", "sys", "glob", "shutil"];
        if self.kind == Kind::Script && files.contains(&top) {
            return None;
        }
        let known =
            PACKAGES.iter().filter(|name| **name != "ansatz_worker").copied().collect::<Vec<_>>().join(", ");
        let hint = reason
            .map_or_else(|| format!("there are {known}, and Python's own library in part"), str::to_owned);
        Some((format!("`{top}` must not be imported"), hint))
    }

    /// Why a name may not be called.
    pub(super) fn call(&self, name: &str) -> Option<(String, &'static str)> {
        let allowed: &[&str] = match self.kind {
            Kind::Solution => &[],
            Kind::Script => &["open"],
            Kind::Function => &["eval", "exec", "compile", "globals"],
        };
        let (_, reason) = CALLS.iter().find(|(call, _)| *call == name && !allowed.contains(call))?;
        Some((format!("`{name}` must not be called"), reason))
    }

    /// Why an attribute may not be used.
    pub(super) fn attribute(&self, name: &str) -> Option<(String, &'static str)> {
        if self.kind == Kind::Function {
            return None;
        }
        if HIDDEN.contains(&name) {
            return Some((
                format!("`{name}` reaches behind an object"),
                "use the object as it is meant to be used",
            ));
        }
        if self.kind == Kind::Solution && READERS.contains(&name) {
            return Some((format!("`{name}` reads a file"), "there are no files; rows arrive as arguments"));
        }
        None
    }
}
