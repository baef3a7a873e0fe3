//! The file with what somebody would otherwise type with every command: stack, Region and profile.
//!
//! Only the person's own file is read, never one of the directory that they are in: a repository that somebody
//! has cloned must not decide as whom they act.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::document::settings;
use crate::stopped::Stopped;

/// Names another file than the usual one.
const FILE: &str = "GLIDEPATH_CONFIG";

/// What a file may say.
const KNOWN: [&str; 3] = ["stack", "region", "profile"];

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Configuration {
    pub(crate) stack: Option<String>,
    pub(crate) region: Option<String>,
    pub(crate) profile: Option<String>,
}

impl Configuration {
    /// What the file says; nothing where there is none. One that is named must be there.
    pub(crate) fn read(environment: impl Fn(&str) -> Option<OsString>) -> Result<Self, Stopped> {
        let set = |name: &str| environment(name).filter(|value| !value.is_empty());
        let named = set(FILE).map(PathBuf::from);
        let must = named.is_some();
        let usual = || {
            let home = set("XDG_CONFIG_HOME").map(PathBuf::from);
            let home = home.or_else(|| Some(PathBuf::from(set("HOME")?).join(".config")))?;
            Some(home.join("glidepath").join("config.yaml"))
        };
        let Some(file) = named.or_else(usual) else { return Ok(Self::default()) };
        let name = format!("`{}`", file.display());
        let bytes = match std::fs::read(&file) {
            Ok(bytes) => bytes,
            Err(error) if !must && error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(error) => {
                return Err(Stopped::Unusable {
                    message: format!("cannot read the configuration {name}: {error}"),
                    hint: format!("{FILE} names it, or else it is where docs/command-line.md says"),
                });
            }
        };
        let mut said = settings(&bytes, &name, &KNOWN)?;
        let mut take = |key: &str| said.remove(key);
        Ok(Self { stack: take("stack"), region: take("region"), profile: take("profile") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With files of these texts in a directory of its own.
    fn read(
        test: &str,
        files: &[(&str, &str)],
        set: &[(&str, &str)],
    ) -> Result<Configuration, String> {
        let home = std::env::temp_dir().join(format!("glidepath-{test}-{}", std::process::id()));
        for (name, text) in files {
            let file = home.join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        }
        let below = |value: &str| value.replace('~', home.to_str().unwrap());
        let set: Vec<_> =
            set.iter().map(|(name, value)| ((*name).to_owned(), below(value))).collect();
        let environment = |name: &str| {
            set.iter().find(|(known, _)| known == name).map(|(_, value)| OsString::from(value))
        };
        let found = Configuration::read(environment).map_err(|stopped| {
            let Stopped::Unusable { message, hint } = stopped else { panic!("{stopped}") };
            format!("{message}; {hint}").replace(home.to_str().unwrap(), "~")
        });
        let _removed = std::fs::remove_dir_all(&home);
        found
    }

    fn region(found: Result<Configuration, String>) -> Option<String> {
        found.unwrap().region
    }

    #[test]
    fn it_is_looked_for_where_people_have_theirs() {
        let usual = (".config/glidepath/config.yaml", "region: usual");
        let elsewhere = ("xdg/glidepath/config.yaml", "region: elsewhere");
        let named = ("named.yaml", "# mine\nstack: blue\nregion: named\nprofile: ops\n");
        let files = [usual, elsewhere, named];
        let read = |set: &[(&str, &str)]| read("where", &files, set);
        assert_eq!(read(&[]).unwrap(), Configuration::default());
        assert_eq!(region(read(&[("HOME", "~")])).as_deref(), Some("usual"));
        let xdg = [("HOME", "~"), ("XDG_CONFIG_HOME", "~/xdg")];
        assert_eq!(region(read(&xdg)).as_deref(), Some("elsewhere"));
        let all = [("HOME", "~"), ("XDG_CONFIG_HOME", "~/xdg"), (FILE, "~/named.yaml")];
        let found = read(&all).unwrap();
        assert_eq!(found.profile.as_deref(), Some("ops"));
        assert_eq!(found.stack.as_deref(), Some("blue"));
        assert_eq!(region(read(&[("HOME", "~/nowhere")])), None);
        let gone = read(&[(FILE, "~/gone.yaml")]).unwrap_err();
        assert!(gone.starts_with("cannot read the configuration `~/gone.yaml`"), "{gone}");
    }

    #[test]
    fn what_it_cannot_mean_is_refused_with_its_place() {
        for (text, expected) in [
            ("", None),
            ("# nothing yet\n\n", None),
            (
                "stack: blue\nregoin: eu-west-1\n",
                Some("line 2, column 1: nothing is set by `regoin`; did you mean `region`?"),
            ),
            (
                "output: json\n",
                Some(
                    "line 1, column 1: nothing is set by `output`; it may say `stack`, `region`, `profile`",
                ),
            ),
            ("stack: [a]\n", Some("line 1, column 8: `stack` is no text; write `stack: TEXT`")),
            ("stack:\n", Some("line 1, column 6: `stack` is empty; write `stack: TEXT`")),
            (
                "- stack\n",
                Some(
                    "line 1, column 1: it has no fields; write `stack: TEXT`, each in a line of its own",
                ),
            ),
            ("stack: a\nstack: b\n", Some("line 2, column 1: `stack` is there twice")),
        ] {
            let found = read("what", &[("c.yaml", text)], &[(FILE, "~/c.yaml")]);
            match (found, expected) {
                (Ok(found), None) => assert_eq!(found, Configuration::default()),
                (Err(told), Some(expected)) => {
                    assert!(told.starts_with(&format!("`~/c.yaml`, {expected}")), "{told}");
                }
                (found, _) => panic!("{text}: {found:?}"),
            }
        }
    }
}
