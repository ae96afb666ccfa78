//! Goes over a parsed module once: what it imports, calls and reaches for.

use super::policy::Rules;
use super::{Finding, FindingKind, Text};
use ruff_python_ast::visitor::{Visitor, walk_expr, walk_stmt};
use ruff_python_ast::{Expr, ModModule, Stmt};
use std::collections::BTreeSet;

/// What was seen.
pub(super) struct Seen {
    /// Modules, by their first name.
    pub(super) imports: BTreeSet<String>,
    /// What was wrong.
    pub(super) findings: Vec<Finding>,
}

/// Looks at every statement and expression.
pub(super) fn walk(module: &ModModule, text: &Text<'_>, rules: &Rules<'_>) -> Seen {
    let mut eye = Eye { text, rules, seen: Seen { imports: BTreeSet::new(), findings: Vec::new() } };
    eye.visit_body(&module.body);
    eye.seen
}

struct Eye<'a> {
    text: &'a Text<'a>,
    rules: &'a Rules<'a>,
    seen: Seen,
}

impl Eye<'_> {
    fn find(&mut self, kind: FindingKind, at: usize, message: String, hint: &str) {
        self.seen.findings.push(self.text.finding(kind, at, message, hint));
    }

    fn import(&mut self, module: &str, at: usize) {
        let top = module.split('.').next().unwrap_or(module);
        self.seen.imports.insert(top.to_owned());
        if let Some((message, hint)) = self.rules.import(module) {
            self.find(FindingKind::Import, at, message, &hint);
        }
    }
}

impl<'a> Visitor<'a> for Eye<'_> {
    fn visit_stmt(&mut self, stmt: &'a Stmt) {
        match stmt {
            Stmt::Import(import) => {
                for alias in &import.names {
                    self.import(alias.name.as_str(), alias.range.start().to_usize());
                }
            }
            Stmt::ImportFrom(import) => {
                let at = import.range.start().to_usize();
                match &import.module {
                    _ if import.level > 0 => {
                        let message = "a module of its own has no relatives to import from".to_owned();
                        self.find(FindingKind::Import, at, message, "import by the full name");
                    }
                    Some(module) => {
                        // `from ansatz_worker import lock` imports `ansatz_worker.lock`.
                        let names = import.names.iter().filter(|_| module.as_str() == "ansatz_worker");
                        let full: Vec<String> =
                            names.map(|alias| format!("{module}.{}", alias.name)).collect();
                        if full.is_empty() {
                            self.import(module.as_str(), at);
                        }
                        for name in &full {
                            self.import(name, at);
                        }
                    }
                    None => {}
                }
                if import.names.iter().any(|alias| alias.name.as_str() == "*") {
                    let message = "`import *` hides where names come from".to_owned();
                    self.find(FindingKind::Import, at, message, "name what you import");
                }
            }
            _ => walk_stmt(self, stmt),
        }
    }

    fn visit_expr(&mut self, expr: &'a Expr) {
        match expr {
            Expr::Call(call) => {
                if let Expr::Name(name) = call.func.as_ref()
                    && let Some((message, hint)) = self.rules.call(name.id.as_str())
                {
                    self.find(FindingKind::Use, name.range.start().to_usize(), message, hint);
                }
            }
            Expr::Attribute(attribute) => {
                if let Some((message, hint)) = self.rules.attribute(attribute.attr.as_str()) {
                    let at = attribute.attr.range.start().to_usize();
                    self.find(FindingKind::Use, at, message, hint);
                }
            }
            _ => {}
        }
        walk_expr(self, expr);
    }
}
