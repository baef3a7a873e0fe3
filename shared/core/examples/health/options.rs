//! The command's options.

use crate::simulation::Effort;

pub(crate) const USAGE: &str = "\
usage: health [--runs N] [--seed N] [--threads N] [PART]...
  --runs N     releases of each scenario; 10000 if not given
  --seed N     another seed, other releases; 1 if not given
  --threads N  at once; the result does not depend on it
  PART         summary, tables, ceiling, tried, promotion; all if none is given";

#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) effort: Effort,
    parts: Vec<String>,
}

impl Options {
    /// Of the command line, without the program's name.
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let mut options =
            Self { effort: Effort { runs: 10_000, seed: 1, threads }, parts: Vec::new() };
        while let Some(word) = words.next() {
            match word.as_str() {
                "--runs" => options.effort.runs = number(&word, words.next())?,
                "--seed" => options.effort.seed = number(&word, words.next())?,
                "--threads" => options.effort.threads = number(&word, words.next())?,
                part if crate::report::PARTS.iter().any(|known| known.name == part) => {
                    options.parts.push(word);
                }
                _ => return Err(format!("`{word}` is unknown")),
            }
        }
        if options.effort.runs == 0 {
            return Err("0 runs show nothing".to_owned());
        }
        Ok(options)
    }

    pub(crate) fn wants(&self, part: &str) -> bool {
        self.parts.is_empty() || self.parts.iter().any(|wanted| wanted == part)
    }
}

fn number<N: std::str::FromStr>(option: &str, value: Option<String>) -> Result<N, String> {
    let value = value.ok_or_else(|| format!("`{option}` needs a number"))?;
    value.parse().map_err(|_| format!("`{option} {value}` is no number"))
}
