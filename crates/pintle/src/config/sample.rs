//! The texts made from the table of keys: the sample file and the settings in effect.

use std::fmt::Write;

use super::keys::{KEYS, Key};
use super::load::Loaded;
use super::{Config, Origin, kafka, outside, pull, watch};

/// Letters a line of the sample may have.
const WIDTH: usize = 96;

/// A file with every key, its explanation and its default, all commented out.
pub fn sample() -> String {
    let mut text = comment(
        "Settings of pintle. Every key is optional; those that are commented out show their \
         default unless they say otherwise. A flag of `pintle serve` goes before a PINTLE_… \
         variable, a variable before this file. `pintle config check` reads this file and says \
         what is wrong with it, `pintle config show` says what is in effect.",
    );
    let defaults = Config::default();
    let mut section = "";
    for key in KEYS {
        let (its_section, name) = key.section_and_name();
        if its_section != section {
            section = its_section;
            _ = write!(text, "\n[{section}]\n");
        }
        text.push('\n');
        text.push_str(&comment(key.help));
        text.push_str(&comment(&names(key)));
        match (key.example, key.show(&defaults)) {
            (Some(example), _) => _ = writeln!(text, "# Not set; for example:\n#{name} = {example}"),
            (None, Some(value)) => _ = writeln!(text, "#{name} = {value}"),
            (None, None) => {}
        }
    }
    text.push('\n');
    text.push_str(&comment(outside::HELP));
    text.push_str(outside::EXAMPLE);
    text.push('\n');
    text.push_str(&comment(watch::HELP));
    text.push_str(watch::EXAMPLE);
    text.push('\n');
    text.push_str(&comment(pull::HELP));
    text.push_str(pull::EXAMPLE);
    text.push('\n');
    text.push_str(&comment(kafka::HELP));
    text.push_str(kafka::EXAMPLE);
    text
}

/// The settings in effect as TOML, each with where it came from.
pub fn show(loaded: &Loaded) -> String {
    let mut text = match &loaded.file {
        Some(file) => format!("# file: {}\n", file.display()),
        None => "# file: none\n".to_owned(),
    };
    let lines: Vec<(String, Origin)> = KEYS
        .iter()
        .map(|key| {
            let line = match key.show(&loaded.config) {
                Some(value) => format!("{} = {value}", key.name),
                None => format!("#{} is not set", key.name),
            };
            (line, loaded.origin(key))
        })
        .collect();
    let width = lines.iter().map(|(line, _)| line.chars().count()).max().unwrap_or(0).min(60);
    for (line, origin) in lines {
        _ = writeln!(text, "{line:width$}  # {origin}");
    }
    for (tenant, settings) in &loaded.config.tenants {
        let tenant = toml::Value::String(tenant.clone());
        let general = Config { retention: settings.retention, ..Config::default() };
        for key in KEYS.iter().filter(|key| key.name.starts_with("retention.")) {
            let value = key.show(&general).unwrap_or_default();
            _ = writeln!(text, "tenants.{tenant}.{} = {value}", key.name);
        }
    }
    for (name, issuer) in &loaded.config.outside_issuers {
        text.push_str(&issuer.show(name));
    }
    for (name, watch) in &loaded.config.watch {
        text.push_str(&watch.show(name));
    }
    for (name, pull) in &loaded.config.pull {
        text.push_str(&pull.show(name));
    }
    for (name, kafka) in &loaded.config.kafka {
        text.push_str(&kafka.show(name));
    }
    text
}

fn names(key: &Key) -> String {
    match key.flag {
        Some(flag) => format!("{}, --{flag} {}", key.variable(), key.hint),
        None => key.variable(),
    }
}

/// Text as comment lines, broken between words.
fn comment(text: &str) -> String {
    let mut lines = String::new();
    let mut line = String::from("#");
    for word in text.split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > WIDTH {
            lines.push_str(&line);
            lines.push('\n');
            line = String::from("#");
        }
        line.push(' ');
        line.push_str(word);
    }
    lines + &line + "\n"
}
