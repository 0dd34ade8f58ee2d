//! Quality values (RFC 9110 §12.4.2): how much a client likes what it names in `Accept` and its like.

/// `gzip;q=0.5` → `gzip`, 500. What is no weight counts as none.
pub(super) fn weighted(item: &str) -> (&str, u16) {
    let mut parts = item.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default();
    let q = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    let weight = match q.map(str::parse::<f32>) {
        None => 1000,
        Some(Ok(q)) if (0.0..=1.0).contains(&q) => (q * 1000.0) as u16,
        Some(_) => 0,
    };
    (name, weight)
}
