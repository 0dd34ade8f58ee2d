use pintle_model::shapes::alert as a;

use super::*;

/// Rows made of numbers: the id, and two values.
struct Numbers(Vec<(i64, i64)>);

impl Rows for Numbers {
    fn look(
        &self,
        candidates: &[u32],
        first: usize,
        listing: &Listing<'_>,
        found: &mut Vec<Ranked>,
    ) -> Result<(), Error> {
        for (number, place) in candidates.iter().zip(first..) {
            let row = self.0[*number as usize];
            // Every fifth does not pass.
            if row.0 % 5 == 4 {
                continue;
            }
            let value = |by: &OrderBy| if by.member == a::ID { row.0 } else { row.1 };
            found.push(Ranked {
                values: listing.order.iter().map(|by| Value::Number(value(by))).collect(),
                place,
            });
        }
        Ok(())
    }

    fn id(&self, number: u32) -> Option<String> {
        Some(format!("{number:06}"))
    }
}

fn rows(count: i64) -> Numbers {
    Numbers((0..count).map(|n| (n * 7_919 % 13, n * 104_729 % 7)).collect())
}

/// All that pass, in order, the plain way.
fn naive(rows: &Numbers, order: &[OrderBy]) -> Vec<u32> {
    let mut all: Vec<u32> =
        (0..).zip(&rows.0).filter(|(_, row)| row.0 % 5 != 4).map(|(number, _)| number).collect();
    all.sort_by(|one, other| {
        let (one, other) = (rows.0[*one as usize], rows.0[*other as usize]);
        order.iter().fold(Ordering::Equal, |known, by| {
            let order = if by.member == a::ID { one.0.cmp(&other.0) } else { one.1.cmp(&other.1) };
            known.then(if by.descending { order.reverse() } else { order })
        })
    });
    all
}

#[test]
fn a_list_takes_no_more_memory_than_it_may() {
    let rows = rows(60_000);
    let all: Vec<u32> = (0..60_000).collect();
    let order = [a::TITLE, a::STATUS, a::SEVERITY].map(|member| OrderBy { member, descending: false });
    let whole = Listing { order: &order, ..Listing::ALL };
    assert!(matches!(settle(&rows, &all, &whole), Err(Error::TooMuchToOrder)));
    // A page of it is another thing, however long the list.
    let page = Listing { order: &order, ..Listing::of(Page { skip: 1_000, top: 1_000 }) };
    assert_eq!(settle(&rows, &all, &page).unwrap().numbers.len(), 1_000);
    assert!(settle(&rows, all.get(..1_000).unwrap(), &whole).unwrap().numbers.len() > 800);
}

#[test]
fn pages_and_cursors_cut_what_a_naive_sort_gives() {
    let by = |member, descending| OrderBy { member, descending };
    let orders: [&[OrderBy]; 5] = [
        &[],
        &[by(a::ID, false)],
        &[by(a::TITLE, true)],
        &[by(a::ID, true), by(a::TITLE, false)],
        &[by(a::TITLE, false), by(a::ID, true)],
    ];
    for count in [0, 1, 9, 1_030, 5_000] {
        let rows = rows(count);
        let candidates: Vec<u32> = (0..u32::try_from(count).unwrap()).collect();
        for order in orders {
            let all = naive(&rows, order);
            for page in [(0, 1), (0, 40), (3, 7), (1_000, 50), (0, 100_000), (usize::MAX, 5), (5, 0)] {
                let page = Page { skip: page.0, top: page.1 };
                let listing = Listing { order, count: true, ..Listing::of(page) };
                let settled = settle(&rows, &candidates, &listing).unwrap();
                let expected: Vec<u32> = all.iter().copied().skip(page.skip).take(page.top).collect();
                assert_eq!(settled.numbers, expected, "{order:?} {page:?}");
                assert_eq!(settled.about.count, Some(all.len()));
                let follows = page.skip.saturating_add(page.top) < all.len() && page.top > 0;
                assert_eq!(settled.about.next.is_some(), follows, "{order:?} {page:?}");
            }
            let (mut walked, mut after) = (Vec::new(), None);
            loop {
                let page = Page { skip: 0, top: 611 };
                let listing = Listing { order, after: after.as_ref(), ..Listing::of(page) };
                let settled = settle(&rows, &candidates, &listing).unwrap();
                walked.extend(settled.numbers);
                after = settled.about.next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(walked, all, "{order:?}");
        }
    }
}

#[test]
fn nobody_waits_for_what_is_stopped() {
    let (rows, stop) = (rows(10), AtomicBool::new(true));
    for order in [&[][..], &[OrderBy { member: a::ID, descending: false }]] {
        let listing = Listing { order, stop: Some(&stop), ..Listing::ALL };
        assert!(matches!(settle(&rows, &[1, 2], &listing), Err(Error::Stopped)));
    }
}

#[test]
fn values_order_as_what_they_are() {
    use pintle_model::shapes::machine as m;
    let of = |member, json: &str| Value::of_json(&m::SHAPE, member, json);
    for (member, ascending) in [
        (m::OS_BUILD, vec!["null", "-3", "9", "22631"]),
        (m::IS_EXCLUDED, vec!["null", "false", "true"]),
        (m::LAST_SEEN, vec!["null", r#""2020-01-01T00:00:00Z""#, r#""2020-01-01T00:00:00.5Z""#]),
        (m::COMPUTER_DNS_NAME, vec!["null", r#""""#, r#""a""#, r#""B""#, r#""büro""#]),
        (
            m::RISK_SCORE,
            vec!["null", r#""None""#, r#""Informational""#, r#""low""#, r#""High""#, r#""Other""#],
        ),
    ] {
        let values: Vec<Value> = ascending.iter().map(|json| of(member, json)).collect();
        assert!(values.is_sorted_by(|one, other| one < other), "{values:?}");
    }
    assert_eq!(of(m::COMPUTER_DNS_NAME, r#""A""#), of(m::COMPUTER_DNS_NAME, r#""a""#));
    let long = "x".repeat(OrderBy::TEXT);
    assert_eq!(of(m::ID, &format!("\"{long}y\"")), of(m::ID, &format!("\"{long}z\"")));
    assert_eq!(of(m::MACHINE_TAGS, "[1]"), Value::Null);
}
