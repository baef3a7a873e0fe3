//! `glidepath judge` as a person runs it.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn judge(arguments: &[&str], input: &str) -> Output {
    run(arguments, input).unwrap_or_else(|error| panic!("the command does not run: {error}"))
}

fn run(arguments: &[&str], input: &str) -> std::io::Result<Output> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_glidepath"))
        .arg("judge")
        .args(arguments)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/histories"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut standard_input) = child.stdin.take() {
        // It may have stopped before it reads.
        let _ = standard_input.write_all(input.as_bytes());
    }
    child.wait_with_output()
}

fn shown(output: &Output) -> String {
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

const HEADER: &str = "cell,stage,canary_requests,canary_bad,stable_requests,stable_bad\n";

const WORKED: &str = "\
cell  stage  canary bad  stable bad  evidence  cells against
   0      1     0 of 25    2 of 475      0.71              0
   1      1     0 of 27    1 of 480      0.65              0
   2      1     1 of 22    0 of 490      0.84              1
   3      1     0 of 26    3 of 470      0.72              1
   4      1     0 of 25    1 of 481      0.68              1
   5      2     1 of 52    1 of 455      0.95              2
   6      2     3 of 49    2 of 448      8.47              3
   7      2     4 of 55    0 of 460       133              4  <- rolls back
   8      2     3 of 47    1 of 452      1651              5
   9      2     5 of 51    2 of 449     28108              6

stage    from  minutes         canary bad         stable bad  evidence
    1  cell 0        5   1 of 125 (0.8 %)  7 of 2396 (0.3 %)      0.68
    2  cell 5        5  16 of 254 (6.3 %)  6 of 2264 (0.3 %)     28108  <- fails

canary bad  ▁▁▄▁▁▂▅▆▆█  0 to 9.8 %
stable bad  ▁▁▁▁▁▁▁▁▁▁  0 to 9.8 %
evidence    ▁▁▁▁▁▂▅███  0.65 to 100, logarithmic

rolls back at cell 7 in stage 2: evidence 133 (100 are needed), and 4 cells (3 are needed) speak against the canary
bad requests: 16.1 times stable's (3.4 to 69.1)
";

#[test]
fn the_worked_example_is_judged_cell_by_cell() {
    assert_eq!(shown(&judge(&["worked.csv"], "")), WORKED);
    let input = include_str!("histories/worked.csv");
    assert_eq!(shown(&judge(&["-"], input)), WORKED);
}

#[test]
fn a_drawing_is_written_beside_the_answer() {
    let file = concat!(env!("CARGO_TARGET_TMPDIR"), "/worked.svg");
    assert_eq!(shown(&judge(&["worked.csv", "--svg", file], "")), WORKED);
    let drawn = std::fs::read_to_string(file).unwrap();
    let title = "worked.csv: canary fails 16.1 times as often as stable (at least 3.4 times); \
                 rolled back at cell 7";
    assert!(drawn.contains(title), "{drawn}");
    let refused = judge(&["worked.csv", "--svg", "nowhere/drawn.svg"], "");
    let error = String::from_utf8_lossy(&refused.stderr);
    assert!(error.contains("cannot write `nowhere/drawn.svg`"), "{error}");
    assert_eq!((refused.status.code(), refused.stdout.len()), (Some(2), 0));
}

#[test]
fn the_drawing_in_the_documentation_is_the_one_that_is_drawn() {
    let drawn = concat!(env!("CARGO_TARGET_TMPDIR"), "/regression.svg");
    shown(&judge(&["regression.csv", "--svg", drawn], ""));
    let kept = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/report.svg");
    let (drawn, kept) = (std::fs::read(drawn).unwrap(), std::fs::read(kept).unwrap());
    assert!(drawn == kept, "look at it and commit it: docs/health.md has the command");
}

#[test]
fn programs_get_every_digit() {
    let shown = shown(&judge(&["worked.csv", "--json"], ""));
    let judged: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(judged["rollsBack"]["cell"], "7");
    assert_eq!(judged["rollsBack"]["why"], "comparison");
    let log10 = judged["cells"][9]["log10E"].as_f64().unwrap();
    assert!((log10 - 4.4488).abs() < 5e-5, "{log10}");
    assert_eq!(judged["slowRequests"], Value::Null);
}

/// A deployment of four compared stages that the limit has rolled back in its first one, once it was
/// shown to be worse than stable: by the comparison alone it would have been another verdict.
#[test]
fn the_limit_and_the_stages_of_the_plan_count_as_in_the_deployment() {
    let lines = (0..10).map(|minute| format!("{minute},1,40,4,760,30\n"));
    let input = format!("{HEADER}{}", lines.collect::<String>());
    let limited = shown(&judge(&["-", "--stages", "4"], &input));
    assert!(
        limited.contains(
            "rolls back at cell 8 in stage 1: 36 of 360 canary requests of the stage are bad \
             (10.0 %), allowed are 5 %"
        ),
        "{limited}"
    );
    let request = "../requests/judged.yaml";
    let by_request = shown(&judge(&["-", "--request", request, "--json"], &input));
    let judged: Value = serde_json::from_str(&by_request).unwrap();
    assert_eq!(judged["stages"], 3);
    assert_eq!(judged["witnesses"], 4);
    assert_eq!(judged["rollsBack"], Value::Null, "{judged:#}");
    for word in ["fast", "standard", "strict", "adaptive", "5"] {
        shown(&judge(&["worked.csv", "-m", word], ""));
    }
    let refused = judge(&["worked.csv", "-m", "brisk"], "");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("`brisk` is none of"));
    let refused = judge(&["worked.csv", "--stages", "1"], "");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("compares 2 stages"));
}

#[test]
fn options_change_the_verdict() {
    let strict = shown(&judge(&["worked.csv", "--false-rollbacks", "0.1"], ""));
    assert!(strict.contains("rolls back at cell 8 in stage 2"), "{strict}");
    let lenient = shown(&judge(&["worked.csv", "-r", "20", "-a", "5", "--limit", "10"], ""));
    assert!(lenient.contains("does not roll back"), "{lenient}");
    let refused = judge(&["worked.csv", "--ratio", "0.5"], "");
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("the ratio 0.5"));
}

#[test]
fn gross_failure_is_named_and_slow_requests_are_compared() {
    let gross = shown(&judge(&["-"], &format!("{HEADER}a,5 %,50,40,450,1\n")));
    assert!(gross.contains("rolls back at cell a in stage 5 %: gross failure, 60 %"), "{gross}");
    let header = HEADER.trim_end();
    let lines: String = (0..9).map(|cell| format!("{cell},1,500,0,9500,0,25,95\n")).collect();
    let slow = shown(&judge(&["-"], &format!("{header},canary_slow,stable_slow\n{lines}")));
    assert!(slow.contains("slow requests: 5.0 times stable's"), "{slow}");
    assert!(slow.contains("<- rolls back"), "{slow}");
}

#[test]
fn a_mistake_is_named_with_its_place_and_nothing_is_judged() {
    for (input, message) in [
        ("", "the column `cell` is missing"),
        (HEADER, "there is no cell"),
        ("cell,stage,canary_requests,canary_bad\n", "the column `stable_requests` is missing"),
        (&format!("{HEADER}0,1,5,1,5,1,9\n"), "line 2: 7 fields where the first line has 6"),
        (&format!("{HEADER}0,1,5,-1,5,1\n"), "line 2: canary_bad: "),
        (&format!("{HEADER}0,1,5,NaN,5,1\n"), "line 2: canary_bad: "),
        (&format!("{HEADER}0,1,5,6,5,1\n"), "line 2: canary_bad is 6, of 5 requests"),
        (&format!("{HEADER}0,1,5,1,5,1\n0,1,5,1,5,1\n"), "line 3: cell `0` is there twice"),
        (
            &format!("{HEADER}0,1,5,1,5,1\n1,2,5,1,5,1\n2,1,5,1,5,1\n"),
            "line 4: stage `1` begins again after another one",
        ),
        (
            &format!("{},canary_slow\n", HEADER.trim_end()),
            "line 1: the column `stable_slow` is missing",
        ),
    ] {
        let output = judge(&["-"], input);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(error.contains(message), "{message}: {error}");
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{error}");
    }
    let missing = judge(&["nowhere.csv"], "");
    assert_eq!(missing.status.code(), Some(2));
}
