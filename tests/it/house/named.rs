//! What the pages name is there. In backticks stand: a path of the repository (`shared/core`), an item
//! with the crate and the modules that lead to it (`engine::plan::run`), a member of a type
//! (`Deployment::tasks`), or the long name of a test. What looks like one of these is looked up.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::LazyLock;

use proc_macro2::Ident;
use syn::visit::{self, Visit};
use syn::{
    Field, ImplItemConst, ImplItemFn, ItemConst, ItemEnum, ItemFn, ItemImpl, ItemMod, ItemStatic,
    ItemStruct, ItemTrait, ItemType, TraitItemFn, Type,
};

use super::{House, Module, follow, only_tests, repository};

/// How pages call a crate, and its root.
const CRATES: [(&str, &str); 6] = [
    ("core", "shared/core/src/lib.rs"),
    ("engine", "shared/engine/src/lib.rs"),
    ("aws", "shared/aws/src/lib.rs"),
    ("functions", "functions/src/lib.rs"),
    ("cli", "cli/src/main.rs"),
    ("lab", "lab/src/lib.rs"),
];

/// A page that leads through the code: there nothing else stands in backticks, but for the tables of rooms.
const ARCHITECTURE: &str = "docs/architecture.md";
/// Beside everything in docs. The decisions in docs/adr name what there was when they were taken.
const PAGES: [&str; 2] = ["README.md", "CONTRIBUTING.md"];
/// What is before `::` in a template of CloudFormation.
const CLOUDFORMATION: [&str; 2] = ["AWS", "Fn"];

/// Everything that has a name.
struct Names {
    crates: Vec<(&'static str, House, Definitions)>,
    /// Of Rust and Python, tests and all.
    functions: BTreeSet<String>,
}

/// What the files of a crate define.
#[derive(Default)]
struct Definitions {
    /// By the path from the root of the crate.
    items: BTreeSet<Module>,
    /// Methods, fields and variants, each with its type.
    members: BTreeSet<(String, String)>,
    /// The module that is read.
    here: Module,
    /// The type whose members are read.
    of: Option<String>,
}

/// Read once for all tests: it takes some seconds.
static NAMES: LazyLock<Names> = LazyLock::new(Names::read);

impl Names {
    fn read() -> Self {
        let mut functions = BTreeSet::new();
        functions_below(&repository(), &mut functions);
        let crates = CRATES.map(|(name, root)| {
            let mut files = Vec::new();
            follow(&repository().join(root), Module::new(), &mut files);
            let mut definitions = Definitions::default();
            for (module, content) in &files {
                definitions.here = module.clone();
                definitions.visit_file(&syn::parse_file(content).unwrap());
                definitions.items.insert(module.clone());
            }
            (name, House::of(files), definitions)
        });
        Self { crates: crates.into(), functions }
    }

    fn has_member(&self, of: &str, member: &str) -> bool {
        let member = (of.to_owned(), member.to_owned());
        self.crates.iter().any(|(_, _, definitions)| definitions.members.contains(&member))
    }

    /// Whether the path leads from the crate to an item, or to a member of one.
    fn has_item(&self, of: &str, path: &[String]) -> bool {
        let Some((_, house, definitions)) = self.crates.iter().find(|(name, ..)| *name == of)
        else {
            return false;
        };
        let is_item = |path: &[String]| {
            definitions.items.contains(path)
                || house.passed_on.iter().any(|(module, names)| {
                    let name = path.strip_prefix(module.as_slice());
                    name.is_some_and(|name| name.len() == 1 && names.contains_key(&name[0]))
                })
        };
        is_item(path)
            || path.split_last_chunk::<2>().is_some_and(|(_, [of, member])| {
                is_item(&path[..path.len() - 1]) && self.has_member(of, member)
            })
    }

    /// What is wrong with a name, if it is one; `None` for what is no name of anything here.
    fn look(&self, code: &str) -> Option<Result<(), &'static str>> {
        let there = |is: bool, otherwise| Some(if is { Ok(()) } else { Err(otherwise) });
        let is_word = |word: &str| {
            !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        let parts: Vec<String> = code.split("::").map(str::to_owned).collect();
        if let [first, path @ ..] = &parts[..]
            && !path.is_empty()
            && parts.iter().all(|part| is_word(part))
            && !CLOUDFORMATION.contains(&first.as_str())
        {
            let of_type = first.starts_with(|c: char| c.is_ascii_uppercase());
            return match path {
                [member] if of_type => {
                    there(self.has_member(first, member), "no type has such a member")
                }
                path => there(self.has_item(first, path), "no crate has such an item"),
            };
        }
        if is_path(code) {
            let path = repository().join(code.trim_end_matches('/'));
            return there(
                path.exists(),
                "there is no such file from the root of the repository on",
            );
        }
        let is_long = code.matches('_').count() >= 3 && code.split('_').all(is_word);
        if is_long && !code.contains(|c: char| c.is_ascii_uppercase()) {
            return there(self.functions.contains(code), "no function has this name");
        }
        None
    }
}

/// A file of code, or something below a folder of the repository.
fn is_path(code: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
    let of_code = code.ends_with(".rs") || code.ends_with(".py");
    let folder = code.split_once('/').map(|(folder, _)| folder);
    let known = folder.is_some_and(|folder| {
        // What is built is there only once it was.
        let ours = !folder.is_empty() && !folder.starts_with("..") && folder != "target";
        ours && repository().join(folder).is_dir()
    });
    let of_root = !code.contains('/') && repository().join(code).is_file();
    code.chars().all(plain) && (of_code || known || of_root)
}

impl Definitions {
    fn item(&mut self, name: &Ident) {
        self.items.insert([&self.here[..], &[name.to_string()]].concat());
    }

    fn member(&mut self, name: &Ident) {
        if let Some(of) = &self.of {
            self.members.insert((of.clone(), name.to_string()));
        }
    }

    /// What `visit` finds are members of this type.
    fn members_of(&mut self, of: Option<String>, visit: impl FnOnce(&mut Self)) {
        self.of = of;
        visit(self);
        self.of = None;
    }
}

impl<'ast> Visit<'ast> for Definitions {
    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        self.item(&item.sig.ident);
    }

    fn visit_item_const(&mut self, item: &'ast ItemConst) {
        self.item(&item.ident);
    }

    fn visit_item_static(&mut self, item: &'ast ItemStatic) {
        self.item(&item.ident);
    }

    fn visit_item_type(&mut self, item: &'ast ItemType) {
        self.item(&item.ident);
    }

    fn visit_item_struct(&mut self, item: &'ast ItemStruct) {
        self.item(&item.ident);
        self.members_of(Some(item.ident.to_string()), |this| visit::visit_item_struct(this, item));
    }

    fn visit_item_enum(&mut self, item: &'ast ItemEnum) {
        self.item(&item.ident);
        self.members_of(Some(item.ident.to_string()), |this| {
            item.variants.iter().for_each(|variant| this.member(&variant.ident));
        });
    }

    fn visit_item_trait(&mut self, item: &'ast ItemTrait) {
        self.item(&item.ident);
        self.members_of(Some(item.ident.to_string()), |this| visit::visit_item_trait(this, item));
    }

    fn visit_item_impl(&mut self, item: &'ast ItemImpl) {
        let Type::Path(path) = &*item.self_ty else { return };
        let of = path.path.segments.last().map(|of| of.ident.to_string());
        self.members_of(of, |this| visit::visit_item_impl(this, item));
    }

    fn visit_field(&mut self, field: &'ast Field) {
        field.ident.iter().for_each(|name| self.member(name));
    }

    fn visit_trait_item_fn(&mut self, function: &'ast TraitItemFn) {
        self.member(&function.sig.ident);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast ImplItemFn) {
        self.member(&function.sig.ident);
    }

    fn visit_impl_item_const(&mut self, constant: &'ast ImplItemConst) {
        self.member(&constant.ident);
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if item.content.is_some() && !only_tests(&item.attrs) {
            self.item(&item.ident);
            self.here.push(item.ident.to_string());
            visit::visit_item_mod(self, item);
            self.here.pop();
        }
    }
}

/// Names after `fn` and `def` in every file of the repository.
fn functions_below(directory: &Path, into: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            if name != "target" && !name.starts_with('.') {
                functions_below(&path, into);
            }
            continue;
        }
        if !name.ends_with(".rs") && !name.ends_with(".py") {
            continue;
        }
        let content = std::fs::read_to_string(&path).unwrap();
        for line in content.lines() {
            let after = line.split_once("fn ").or_else(|| line.split_once("def "));
            let Some((_, after)) = after else { continue };
            let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            into.insert(after[..end.unwrap_or(after.len())].to_owned());
        }
    }
}

/// What stands in backticks, each with its line. Blocks of code are examples.
fn code(page: &str) -> Vec<(usize, &str)> {
    let mut in_block = false;
    let mut spans = Vec::new();
    for (number, line) in (1..).zip(page.lines()) {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        } else if !in_block {
            spans.extend(line.split('`').skip(1).step_by(2).map(|code| (number, code)));
        }
    }
    spans
}

fn pages() -> Vec<String> {
    let docs = std::fs::read_dir(repository().join("docs")).unwrap();
    let names = docs.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let docs = names.filter(|name| name.ends_with(".md")).map(|name| format!("docs/{name}"));
    docs.chain(PAGES.map(str::to_owned)).collect()
}

#[test]
fn what_the_pages_name_is_there() {
    let names = &*NAMES;
    let mut wrong = Vec::new();
    let mut looked = 0;
    for page in pages() {
        let content = std::fs::read_to_string(repository().join(&page)).unwrap();
        let lines: Vec<_> = content.lines().collect();
        for (line, code) in code(&content) {
            // The tables of rooms, which `rooms` looks up.
            if page == ARCHITECTURE && lines[line - 1].starts_with("| `") {
                continue;
            }
            match names.look(code) {
                Some(Ok(())) => looked += 1,
                Some(Err(why)) => wrong.push(format!("{page}:{line}: `{code}`: {why}")),
                None if page == ARCHITECTURE => {
                    wrong.push(format!(
                        "{page}:{line}: `{code}`: a name here begins with its crate, type or folder"
                    ));
                }
                None => {}
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(looked > 100, "only {looked} names were found in the pages");
}

#[test]
fn what_is_not_there_is_found() {
    let names = &*NAMES;
    for there in [
        "engine::plan::run",
        "engine::plan::try_begin",
        "core::record::Deployment",
        "core::health::Periods::by_stage",
        "aws::alarm_rule",
        "Deployment::tasks",
        "Registry::fence_alarm",
        "Plan::routes",
        "Phase::Open",
        "tests/it/house.rs",
        "lab/scenarios/",
        "what_is_not_there_is_found",
    ] {
        assert_eq!(names.look(there), Some(Ok(())), "{there}");
    }
    for missing in [
        "engine::plan::ran",
        "engine::run",
        "core::record::Deployments",
        "core::health::Periods::by_stages",
        "plan::run",
        "Deployment::task",
        "Registry::fence",
        "house.rs",
        "tests/it/home.rs",
        "what_was_never_there_is_found",
    ] {
        assert!(matches!(names.look(missing), Some(Err(_))), "{missing}");
    }
    for no_name in
        ["next", "dynamodb:UpdateItem", "AWS::ECS::Service", "Fn::If", "app/NAME/ID", "a b/c"]
    {
        assert_eq!(names.look(no_name), None, "{no_name}");
    }
}
