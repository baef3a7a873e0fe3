//! The order of the rooms of core and engine. The page on the architecture lists them from the ground up,
//! and is what is held here: a room uses those of the rows above its own, and none beside or below it.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::{House, Module, repository};

const PAGE: &str = "docs/architecture.md";
/// The heading of a table of rooms, and the sources of the crate.
const TABLES: [(&str, &str); 2] = [
    ("## The rooms of the core", "shared/core/src"),
    ("## The rooms of the engine", "shared/engine/src"),
];
/// The root of a crate as the tables call it.
const ROOT: &str = "lib";

/// Rows of rooms, from the ground up. A room is a module with all that is below it, unless that is a room
/// of its own.
struct Order(Vec<Vec<Module>>);

impl Order {
    /// What stands in code in the first column of the table below a heading.
    fn of(page: &str, heading: &str) -> Self {
        let (_, section) =
            page.split_once(&format!("{heading}\n")).unwrap_or_else(|| panic!("no {heading}"));
        let lines = section.lines().take_while(|line| !line.starts_with("## "));
        let cells = lines.filter_map(|line| line.strip_prefix("| `")?.split('|').next());
        let rooms = |cell: &str| cell.split('`').step_by(2).map(module).collect();
        Self(cells.map(rooms).collect())
    }

    /// The room that a file is in, and its row.
    fn place(&self, file: &[String]) -> Option<(usize, &Module)> {
        let rows = self.0.iter().enumerate();
        let rooms = rows.flat_map(|(row, rooms)| rooms.iter().map(move |room| (row, room)));
        let around = rooms.filter(|(_, room)| match room.as_slice() {
            [] => file.is_empty(),
            room => file.starts_with(room),
        });
        around.max_by_key(|(_, room)| room.len())
    }

    /// Every use of a room that does not stand above, and every file in no room.
    fn breaches(&self, house: &House) -> Vec<Breach> {
        let mut breaches = Vec::new();
        for (file, paths) in &house.named {
            let Some((row, room)) = self.place(file) else {
                breaches.push(Breach {
                    file: file.clone(),
                    path: Module::new(),
                    rule: nowhere(file),
                });
                continue;
            };
            for path in paths {
                let Some(used) = house.room_of(path).filter(|used| used != file) else { continue };
                let rule = match self.place(&used) {
                    None => nowhere(&used),
                    Some((_, used)) if used == room => continue,
                    Some((below, _)) if below < row => continue,
                    Some((_, used)) => format!(
                        "`{}` must not use `{}`, which does not stand above it",
                        name(room),
                        name(used)
                    ),
                };
                breaches.push(Breach { file: file.clone(), path: path.clone(), rule });
            }
        }
        breaches
    }
}

fn nowhere(file: &[String]) -> String {
    format!("`{}` is in no room", name(file))
}

struct Breach {
    file: Module,
    /// What is named there, from the root of the crate.
    path: Module,
    rule: String,
}

impl Breach {
    /// `FILE:LINE: rule (path)`.
    fn told(&self, sources: &str) -> String {
        let file = file_of(sources, &self.file);
        let line = line_of(&std::fs::read_to_string(repository().join(&file)).unwrap(), &self.path);
        format!("{}:{line}: {} (crate::{})", file.display(), self.rule, self.path.join("::"))
    }
}

/// The first line of code in which the name stands, from 1: a parsed path does not say where it was.
fn line_of(content: &str, path: &[String]) -> usize {
    let Some(name) = path.iter().rfind(|part| *part != "*") else { return 1 };
    let is_named = |line: &str| {
        let code = line.split("//").next().unwrap_or_default();
        code.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == name)
    };
    content.lines().position(is_named).map_or(1, |before| before + 1)
}

/// From the root of the repository.
fn file_of(sources: &str, file: &[String]) -> PathBuf {
    let path = file.iter().fold(PathBuf::from(sources), |path, part| path.join(part));
    let beside = if file.is_empty() { path.join("lib.rs") } else { path.with_extension("rs") };
    if repository().join(&beside).exists() { beside } else { path.join("mod.rs") }
}

fn module(name: &str) -> Module {
    if name == ROOT { Module::new() } else { name.split("::").map(str::to_owned).collect() }
}

fn name(module: &[String]) -> String {
    if module.is_empty() { ROOT.to_owned() } else { module.join("::") }
}

#[test]
fn a_room_uses_only_the_rooms_above_it() {
    let page = std::fs::read_to_string(repository().join(PAGE)).unwrap();
    let mut wrong = String::new();
    for (heading, sources) in TABLES {
        let house = House::read(&repository().join(sources).join("lib.rs"));
        let order = Order::of(&page, heading);
        for breach in order.breaches(&house) {
            writeln!(wrong, "{}", breach.told(sources)).unwrap();
        }
        let modules = house.rooms.iter().filter(|room| !room.is_empty());
        for file in modules.filter(|room| order.place(room).is_none()) {
            writeln!(wrong, "{}: {}", file_of(sources, file).display(), nowhere(file)).unwrap();
        }
        for room in order.0.iter().flatten().filter(|room| !house.rooms.contains(*room)) {
            writeln!(wrong, "{PAGE}: there is no `{}` in {sources}", name(room)).unwrap();
        }
    }
    assert!(wrong.is_empty(), "the tables of rooms in {PAGE} go from the ground up:\n{wrong}");
}

#[test]
fn a_use_of_what_does_not_stand_above_is_found() {
    let page = "## Rooms\n\n| room | what |\n|---|---|\n| `a` `b` | x |\n| `lib` | |\n| `c` | y |\n\
                | `c::judge` | z |\n\n## Other\n| `d` | |\n";
    let order = Order::of(page, "## Rooms");
    let rules = |file: &str, content: &str| -> Vec<String> {
        let files = ["lib", "a", "b", "c", "c::inner", "c::judge", "d"].map(|room| {
            let content = if room == file { content } else { "" };
            (module(room), content.to_owned())
        });
        let breaches = order.breaches(&House::of(files));
        breaches.into_iter().map(|breach| breach.rule).collect()
    };
    let none: [&str; 0] = [];
    assert_eq!(rules("c", "use crate::a::A; use crate::inner;"), none);
    assert_eq!(rules("c::judge", "use crate::c::inner::I; use super::C;"), none);
    assert_eq!(rules("c::inner", "use crate::c::Thing;"), none);
    let refused = |room: &str, used: &str| {
        [format!("`{room}` must not use `{used}`, which does not stand above it")]
    };
    assert_eq!(rules("a", "use crate::c::C;"), refused("a", "c"));
    assert_eq!(rules("a", "fn f(_: super::b::B) {}"), refused("a", "b"));
    assert_eq!(rules("c::inner", "use super::judge::judge;"), refused("c", "c::judge"));
    assert_eq!(rules("b", "use crate::Root;"), refused("b", "lib"));
    assert_eq!(rules("a", "use crate::d::D;"), ["`d` is in no room"]);
    assert_eq!(rules("d", "use crate::a::A;"), ["`d` is in no room"]);
}

#[test]
fn the_line_of_a_use_is_told() {
    let path = |text: &str| module(text);
    let content = "//! On `Plan`.\nuse crate::{\n    ids::Id,\n    plan::Plan,\n};\n";
    assert_eq!(line_of(content, &path("plan::Plan")), 4);
    assert_eq!(line_of(content, &path("ids::*")), 3);
    assert_eq!(line_of(content, &path("other::Other")), 1);
    let core = Path::new("shared/core/src");
    assert_eq!(file_of("shared/core/src", &module("health::judge")), core.join("health/judge.rs"));
    assert_eq!(file_of("shared/core/src", &module("health")), core.join("health/mod.rs"));
    assert_eq!(file_of("shared/core/src", &module("lib")), core.join("lib.rs"));
}
