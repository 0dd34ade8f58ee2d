//! What came of an ingest, over all inputs: the final table, the JSON, the exit code.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};

use crate::cli::terminal::{Printable, Table, count};
use crate::socket::wire;

/// How many failed inputs the table names.
const NAMED: usize = 20;

/// The sum over the inputs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    inputs: u64,
    formats: BTreeMap<String, u64>,
    /// All counts of the single reports, added up.
    sum: wire::Report,
    failed: Vec<(String, String)>,
}

impl Outcome {
    /// Adds what came of an input.
    pub(super) fn add(&mut self, report: wire::Report) {
        if let Some(error) = report.error {
            self.failed.push((report.source, error));
        } else {
            self.inputs += 1;
        }
        if let Some(format) = report.format {
            *self.formats.entry(format).or_default() += 1;
        }
        let sum = &mut self.sum;
        sum.records += report.records;
        sum.with_file_hash += report.with_file_hash;
        sum.bytes += report.bytes;
        sum.repeated_batches += report.repeated_batches;
        sum.implausible_times += report.implausible_times;
        sum.alerts_outside_retention += report.alerts_outside_retention;
        sum.new.machines += report.new.machines;
        sum.new.files += report.new.files;
        for (counts, more) in [(&mut sum.kept_aside, report.kept_aside), (&mut sum.ignored, report.ignored)] {
            for (reason, number) in more {
                *counts.entry(reason).or_default() += number;
            }
        }
    }

    /// An input that could not be read to its end.
    pub(super) fn fail(&mut self, source: String, error: String) {
        self.failed.push((source, error));
    }

    /// Whether nothing has come of anything yet, not even a failure.
    pub(super) fn is_empty(&self) -> bool {
        *self == Outcome::default()
    }

    /// Durable records.
    pub(super) fn records(&self) -> u64 {
        self.sum.records
    }

    /// What failed: input and reason.
    #[cfg(test)]
    pub(super) fn failed(&self) -> &[(String, String)] {
        &self.failed
    }

    /// 0 all well, 5 partly, 1 nothing.
    pub(super) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code())
    }

    fn code(&self) -> u8 {
        match (self.failed.is_empty(), self.sum.kept_aside.is_empty()) {
            (true, true) => 0,
            (false, true) if self.inputs == 0 && self.sum.records == 0 => 1,
            _ => 5,
        }
    }

    /// For standard output: a table, or one line of JSON.
    pub(super) fn printed(&self, held: &wire::Held, took: Duration, as_json: bool) -> String {
        if as_json { format!("{}\n", self.json(held, took)) } else { self.table(held, took) }
    }

    fn json(&self, held: &wire::Held, took: Duration) -> Value {
        let wire::Report { new, .. } = self.sum;
        let failed = self.failed.iter().map(|(input, error)| json!({ "input": input, "error": error }));
        json!({
            "inputs": self.inputs,
            "failed": failed.collect::<Vec<_>>(),
            "formats": self.formats,
            "bytes": self.sum.bytes,
            "records": self.sum.records,
            "with_file_hash": self.sum.with_file_hash,
            "ignored": self.sum.ignored,
            "kept_aside": self.sum.kept_aside,
            "machines": { "total": held.machines, "new": new.machines },
            "files": { "total": held.files, "new": new.files },
            "alerts": { "total": held.alerts, "outside_retention": self.sum.alerts_outside_retention },
            "repeated_batches": self.sum.repeated_batches,
            "implausible_times": self.sum.implausible_times,
            "seconds": took.as_secs_f64(),
        })
    }

    fn table(&self, held: &wire::Held, took: Duration) -> String {
        let sum = &self.sum;
        let total: fn(&BTreeMap<String, u64>) -> u64 = |counts| counts.values().sum();
        let mut table = Table::new("<><");
        let formats: Vec<String> =
            self.formats.iter().map(|(name, inputs)| format!("{inputs} {name}")).collect();
        table.row(["inputs", &count(self.inputs), &formats.join(", ")]);
        let seconds = took.as_secs_f64();
        let rate = (sum.records as f64 / seconds.max(0.001)) as u64;
        table.row(["records", &count(sum.records), &format!("in {seconds:.1} s, {} a second", count(rate))]);
        table.row(["  with a file hash", &count(sum.with_file_hash), ""]);
        for (what, counts) in [("nothing to keep", &sum.ignored), ("kept aside", &sum.kept_aside)] {
            if !counts.is_empty() || what == "kept aside" {
                table.row([what, &count(total(counts)), ""]);
            }
            for (reason, number) in counts {
                table.row([&format!("  {reason}"), &count(*number), ""]);
            }
        }
        for (what, total, new) in
            [("machines", held.machines, sum.new.machines), ("files", held.files, sum.new.files)]
        {
            table.row([what, &count(total), &format!("{} new", count(new))]);
        }
        table.row(["alerts", &count(held.alerts), ""]);
        for (what, number) in [
            ("  outside the retention", sum.alerts_outside_retention),
            ("batches already here", sum.repeated_batches),
            ("implausible times", sum.implausible_times),
        ] {
            if number > 0 {
                table.row([what, &count(number), ""]);
            }
        }
        let mut printed = table.to_string();
        if !self.failed.is_empty() {
            printed.push_str(&format!("failed: {}\n", count(self.failed.len() as u64)));
        }
        for (input, error) in self.failed.iter().take(NAMED) {
            printed.push_str(&format!("  {}: {}\n", Printable(input), Printable(error)));
        }
        if self.failed.len() > NAMED {
            printed.push_str(&format!("  and {} more, see --json\n", self.failed.len() - NAMED));
        }
        printed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(records: u64, kept_aside: u64, error: Option<&str>) -> wire::Report {
        let mut report = wire::Report {
            source: "a\x1b[2J.json".into(),
            format: Some("sysmon-json".into()),
            records,
            with_file_hash: records / 2,
            error: error.map(str::to_owned),
            ..Default::default()
        };
        if kept_aside > 0 {
            report.kept_aside.insert("not JSON".into(), kept_aside);
        }
        report
    }

    fn outcome(reports: impl IntoIterator<Item = wire::Report>) -> Outcome {
        let mut outcome = Outcome::default();
        reports.into_iter().for_each(|report| outcome.add(report));
        outcome
    }

    #[test]
    fn exit_codes_tell_all_from_some_from_nothing() {
        for (reports, code) in [
            (vec![report(3, 0, None), report(0, 0, None)], 0),
            (vec![report(3, 1, None)], 5),
            (vec![report(3, 0, None), report(0, 0, Some("no format is recognised"))], 5),
            (vec![report(3, 0, Some("broke off"))], 5),
            (vec![report(0, 0, Some("no format is recognised"))], 1),
        ] {
            assert_eq!(outcome(reports.clone()).code(), code, "{reports:?}");
        }
        let mut nothing = Outcome::default();
        nothing.fail("missing".into(), "no such file".into());
        assert_eq!(nothing.code(), 1);
    }

    #[test]
    fn the_table_names_counts_reasons_and_failures_without_control_characters() {
        let outcome = outcome([report(1_200, 2, None), report(5, 0, Some("broke off"))]);
        let held = wire::Held { machines: 2, files: 300, alerts: 0 };
        let table = outcome.printed(&held, Duration::from_secs(2), false);
        for part in [
            "records             1,205  in 2.0 s, 602 a second",
            "kept aside",
            "  not JSON",
            "failed: 1",
            "a\\u{1b}[2J.json: broke off",
        ] {
            assert!(table.contains(part), "{part} in\n{table}");
        }
        assert!(!table.contains('\x1b'));
        let json: Value =
            serde_json::from_str(&outcome.printed(&held, Duration::from_secs(2), true)).unwrap();
        assert_eq!((&json["records"], &json["kept_aside"]["not JSON"]), (&json!(1205), &json!(2)));
        assert_eq!(json["machines"], json!({ "total": 2, "new": 0 }));
    }
}
