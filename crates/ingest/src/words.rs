//! Words of Graph's security API as Defender's own API writes them.

/// Words that are more than another case of the other API's.
const OTHER_WORDS: &[(&str, &str)] =
    &[("benignPositive", "InformationalExpectedActivity"), ("compromisedAccount", "CompromisedUser")];

/// The sensors that Graph knows, by the name that they have in alerts of Defender's API.
const SENSORS: &[(&str, &str)] = &[
    ("microsoftDefenderForEndpoint", "WindowsDefenderAtp"),
    ("antivirus", "WindowsDefenderAv"),
    ("smartScreen", "WindowsDefenderSmartScreen"),
    ("customTi", "CustomerTI"),
    ("microsoftDefenderForOffice365", "OfficeATP"),
    ("cloudAppSecurity", "MCAS"),
];

/// Defender's word: `inProgress` is `InProgress`, and what is `InProgress` stays so. `None` for what is no
/// word, and for the one that stands for words unknown to who asked.
pub fn of_api(word: &str) -> Option<String> {
    let word = word.trim();
    if word.is_empty() || word == "unknownFutureValue" {
        return None;
    }
    if let Some((_, other)) = OTHER_WORDS.iter().find(|(graph, _)| *graph == word) {
        return Some((*other).to_owned());
    }
    let mut characters = word.chars();
    let first = characters.next().map(|first| first.to_ascii_uppercase());
    Some(first.into_iter().chain(characters).collect())
}

/// The name of a sensor.
pub fn sensor(word: &str) -> Option<String> {
    let known = SENSORS.iter().find(|(graph, _)| *graph == word);
    known.map_or_else(|| of_api(word), |(_, sensor)| Some((*sensor).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_of_graph_is_the_word_of_defender() {
        for (graph, defender) in [
            ("inProgress", Some("InProgress")),
            ("InProgress", Some("InProgress")),
            ("noSensorDataImpairedCommunication", Some("NoSensorDataImpairedCommunication")),
            ("compromisedAccount", Some("CompromisedUser")),
            ("unknownFutureValue", None),
            (" ", None),
        ] {
            assert_eq!(of_api(graph).as_deref(), defender, "{graph}");
        }
        assert_eq!(sensor("antivirus").as_deref(), Some("WindowsDefenderAv"));
        assert_eq!(sensor("automatedInvestigation").as_deref(), Some("AutomatedInvestigation"));
    }
}
