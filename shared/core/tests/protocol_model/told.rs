//! A counterexample in words.

use crate::example::Who;
use crate::model::Action;
use crate::state::State;

/// A state and what happens next in it, in one line.
pub(crate) fn line(state: &State, action: Option<Action>) -> String {
    let phases = Who::BOTH
        .map(|who| state.deployment(who).map_or("-", |deployment| deployment.phase.name()));
    let doing = match action {
        Some(Action::Step(number, choice)) => {
            let process = state.processes.iter().find(|process| process.number == number);
            process.map_or(String::new(), |process| {
                let place = format!("{:?}", process.work);
                let words: Vec<_> = place
                    .split(|letter: char| !letter.is_alphanumeric())
                    .filter(|word| word.starts_with(|letter: char| letter.is_uppercase()))
                    .filter(|word| !["Some", "Ok", "None"].contains(word))
                    .take(2)
                    .collect();
                format!("{number} {:?} {} {choice:?}", process.who, words.join(" "))
            })
        }
        other => format!("{other:?}"),
    };
    let seconds = state.now.since(crate::example::START).as_millis() / 1000;
    format!(
        "{seconds:>4} s  green {:>4}  tasks {:?}  {:<12} {:<12} {doing}",
        state.world.green.permille(),
        state.world.tasks,
        phases[0],
        phases[1],
    )
}
