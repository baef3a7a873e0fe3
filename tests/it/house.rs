//! The order of the house: data flows one way through every crate, so no file of it leads back to itself.
//! What a file uses is told from its paths; a module that only re-exports what another one defines is no
//! stop on the way. In [`rooms`] and [`named`], the two other things that are told from the sources.

mod named;
mod rooms;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, ItemFn, ItemImpl, ItemMod, ItemUse, UseTree, Visibility};

const ROOTS: [&str; 8] = [
    "shared/core/src/lib.rs",
    "shared/engine/src/lib.rs",
    "shared/aws/src/lib.rs",
    "functions/src/lib.rs",
    "cli/src/main.rs",
    "lab/src/lib.rs",
    "lab/src/main.rs",
    "lab/machine/src/lib.rs",
];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A module from the root of its crate; the root itself is empty.
type Module = Vec<String>;

/// What the files of a crate say about each other.
#[derive(Default)]
struct House {
    /// Modules with a file of their own.
    rooms: BTreeSet<Module>,
    /// Paths that a module names.
    named: BTreeMap<Module, Vec<Module>>,
    /// What a module passes on, by its name there.
    passed_on: BTreeMap<Module, BTreeMap<String, Module>>,
}

impl House {
    /// From the file of a crate's root on.
    fn read(root: &Path) -> Self {
        let mut files = Vec::new();
        follow(root, Vec::new(), &mut files);
        Self::of(files)
    }

    fn of(files: impl IntoIterator<Item = (Module, String)>) -> Self {
        let files: Vec<_> = files.into_iter().collect();
        let rooms = files.iter().map(|(module, _)| module.clone()).collect();
        let mut house = Self { rooms, ..Self::default() };
        for (module, content) in files {
            let file =
                syn::parse_file(&content).unwrap_or_else(|error| panic!("{module:?}: {error}"));
            let mut reader = Reader { house: &mut house, room: module.clone(), here: module };
            reader.visit_file(&file);
        }
        house
    }

    /// The file in which something is, once it is followed to where it is defined.
    fn room_of(&self, path: &Module) -> Option<Module> {
        const MOST_STOPS: usize = 8;
        let mut path = path.clone();
        for _ in 0..MOST_STOPS {
            let length = (0..=path.len()).rev().find(|n| self.rooms.contains(&path[..*n]))?;
            let (room, rest) = path.split_at(length);
            let passed_on = self.passed_on.get(room);
            match rest.split_first().and_then(|(name, rest)| Some((passed_on?.get(name)?, rest))) {
                Some((origin, rest)) if *origin != path => {
                    path = origin.iter().chain(rest).cloned().collect();
                }
                Some(_) | None => return Some(room.to_vec()),
            }
        }
        None
    }

    /// Every file with the files that it uses.
    fn uses(&self) -> BTreeMap<Module, BTreeSet<Module>> {
        let uses = self.named.iter().map(|(room, paths)| {
            let used = paths.iter().filter_map(|path| self.room_of(path));
            (room.clone(), used.filter(|used| used != room).collect())
        });
        uses.collect()
    }

    /// The steps that lie on a circle.
    fn circles(&self) -> Vec<String> {
        let mut uses = self.uses();
        loop {
            let used: BTreeSet<_> = uses.values().flatten().cloned().collect();
            let before: usize = uses.values().map(BTreeSet::len).sum();
            // Nothing leads on from here, or nothing leads here.
            uses.retain(|room, uses| !uses.is_empty() && used.contains(room));
            let left: BTreeSet<_> = uses.keys().cloned().collect();
            uses.values_mut().for_each(|uses| uses.retain(|used| left.contains(used)));
            let now: usize = uses.values().map(BTreeSet::len).sum();
            if now == before {
                break;
            }
        }
        let name = |module: &Module| {
            format!("crate{}", module.iter().map(|part| format!("::{part}")).collect::<String>())
        };
        let steps = uses.iter().flat_map(|(from, to)| to.iter().map(move |to| (from, to)));
        steps.map(|(from, to)| format!("{} uses {}", name(from), name(to))).collect()
    }
}

struct Reader<'a> {
    house: &'a mut House,
    /// The file.
    room: Module,
    /// The module within it.
    here: Module,
}

impl Reader<'_> {
    /// A path from the root of the crate; `None` if it leads out of it.
    fn absolute(&self, path: &[String]) -> Option<Module> {
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => Some(rest.to_vec()),
            "self" => Some([&self.here, rest].concat()),
            "super" => {
                let ups = path.iter().take_while(|part| *part == "super").count();
                let base = self.here.len().checked_sub(ups)?;
                Some([&self.here[..base], &path[ups..]].concat())
            }
            child => {
                let child = [&self.here[..], &[child.to_owned()]].concat();
                self.house.rooms.contains(&child).then(|| [&self.here, path].concat())
            }
        }
    }

    fn name(&mut self, path: &[String]) {
        if let Some(path) = self.absolute(path) {
            self.house.named.entry(self.room.clone()).or_default().push(path);
        }
    }

    /// Paths within the arguments of a macro, which nobody has parsed.
    fn name_all(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(part) if colons == 2 || path.is_empty() => {
                    path.push(part.to_string());
                    colons = 0;
                    continue;
                }
                TokenTree::Punct(colon) if colon.as_char() == ':' => {
                    colons += 1;
                    continue;
                }
                TokenTree::Group(group) => self.name_all(group.stream()),
                TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
            self.name_path(&path);
            path.clear();
            colons = 0;
        }
        self.name_path(&path);
    }

    fn name_path(&mut self, path: &[String]) {
        if path.len() > 1 {
            self.name(path);
        }
    }
}

fn only_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let condition = attribute.path().is_ident("cfg");
        condition && attribute.parse_args::<syn::Path>().is_ok_and(|path| path.is_ident("test"))
    })
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item_impl(&mut self, item: &'ast ItemImpl) {
        if !only_tests(&item.attrs) {
            visit::visit_item_impl(self, item);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        if !only_tests(&item.attrs) {
            visit::visit_item_fn(self, item);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if item.content.is_some() && !only_tests(&item.attrs) {
            self.here.push(item.ident.to_string());
            visit::visit_item_mod(self, item);
            self.here.pop();
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        if only_tests(&item.attrs) {
            return;
        }
        let mut paths = Vec::new();
        flatten(&item.tree, &mut Vec::new(), &mut paths);
        for (name, path) in paths {
            if matches!(item.vis, Visibility::Inherited) {
                self.name(&path);
            } else if let Some(origin) = self.absolute(&path) {
                let here = self.house.passed_on.entry(self.here.clone()).or_default();
                here.insert(name, origin);
            }
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let parts: Vec<_> = path.segments.iter().map(|part| part.ident.to_string()).collect();
        self.name_path(&parts);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.name_all(call.tokens.clone());
        visit::visit_macro(self, call);
    }
}

/// Every name that a `use` brings, with its path.
fn flatten(tree: &UseTree, prefix: &mut Vec<String>, into: &mut Vec<(String, Vec<String>)>) {
    match tree {
        UseTree::Path(path) => {
            prefix.push(path.ident.to_string());
            flatten(&path.tree, prefix, into);
            prefix.pop();
        }
        UseTree::Group(group) => {
            group.items.iter().for_each(|tree| flatten(tree, prefix, into));
        }
        UseTree::Name(name) if name.ident == "self" => {
            into.push((prefix.last().cloned().unwrap_or_default(), prefix.clone()));
        }
        UseTree::Name(name) => {
            let path = [&prefix[..], &[name.ident.to_string()]].concat();
            into.push((name.ident.to_string(), path));
        }
        UseTree::Rename(rename) => {
            let path = [&prefix[..], &[rename.ident.to_string()]].concat();
            into.push((rename.rename.to_string(), path));
        }
        UseTree::Glob(_) => into.push(("*".to_owned(), prefix.clone())),
    }
}

/// A file, and those of its modules that are not only for tests.
fn follow(file: &Path, module: Module, into: &mut Vec<(Module, String)>) {
    let content = std::fs::read_to_string(file).unwrap();
    let parsed = syn::parse_file(&content).unwrap_or_else(|error| panic!("{module:?}: {error}"));
    let (directory, stem) = (file.parent().unwrap(), file.file_stem().unwrap());
    let directory = match stem.to_str().unwrap() {
        "lib" | "main" | "mod" => directory.to_owned(),
        name => directory.join(name),
    };
    for item in parsed.items {
        let syn::Item::Mod(ItemMod { ident, content: None, attrs, .. }) = item else { continue };
        if only_tests(&attrs) {
            continue;
        }
        let name = ident.to_string();
        let beside = directory.join(format!("{name}.rs"));
        let below = directory.join(&name).join("mod.rs");
        let child = [&module[..], &[name]].concat();
        follow(if beside.exists() { &beside } else { &below }, child, into);
    }
    into.push((module, content));
}

#[test]
fn no_file_of_a_crate_leads_back_to_itself() {
    for root in ROOTS {
        let house = House::read(&repository().join(root));
        assert!(house.rooms.len() > 2, "{root}: {:?}", house.rooms);
        let circles = house.circles();
        assert!(circles.is_empty(), "circles of files from {root}:\n{}", circles.join("\n"));
    }
}

#[test]
fn a_circle_is_found_and_what_is_passed_on_is_none() {
    let house = |files: &[(&str, &str)]| {
        let files = files.iter().map(|(name, content)| {
            (name.split_terminator("::").map(str::to_owned).collect(), (*content).to_owned())
        });
        House::of(files).circles()
    };
    let root = ("", "mod a; mod b; pub use a::A;");
    let there = ("a", "use crate::b::B; pub struct A;");
    assert_eq!(house(&[root, there, ("b", "pub struct B;")]), [""; 0]);
    let circle = ["crate::a uses crate::b", "crate::b uses crate::a"];
    for back in [
        "use crate::A;",
        "use super::{A as Other};",
        "fn f(_: super::a::A) {}",
        "fn f() { drop(vec![crate::a::A]) }",
        "mod inner { use super::super::a::A; }",
    ] {
        assert_eq!(house(&[root, there, ("b", back)]), circle, "{back}");
    }
    let only_tests = "#[cfg(test)] mod tests { use crate::a::A; }";
    assert_eq!(house(&[root, there, ("b", only_tests)]), [""; 0]);
}
