//! Bodies that are made piece by piece, each on a thread where that may block, when the connection has room
//! for it. No thread waits for a client, nothing is made for one that has gone, and no more than a piece
//! is in memory.

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream::try_unfold;

use crate::http::error::Failure;

/// As long as a piece should be. There is no harm in a longer one but what it takes of memory.
pub const ENOUGH_BYTES: usize = 64 * 1024;

/// A piece of a body.
pub struct Made {
    /// The bytes. They may be none.
    pub piece: Bytes,
    /// Whether the body ends here.
    pub is_last: bool,
}

/// A body of the pieces that `next` makes. When it fails the connection breaks off, so that nobody takes
/// a part for the whole.
pub fn body(next: impl FnMut() -> Result<Made, pintle_store::Error> + Send + 'static) -> Body {
    let pieces = try_unfold(Some(next), async |next| {
        let mut next = next;
        while let Some(mut make) = next {
            let made = tokio::task::spawn_blocking(move || (make(), make)).await;
            let (made, make) = made.map_err(broken)?;
            let Made { piece, is_last } = made.map_err(broken)?;
            next = (!is_last).then_some(make);
            if !piece.is_empty() {
                return Ok::<_, Broken>(Some((piece, next)));
            }
        }
        Ok(None)
    });
    Body::from_stream(pieces)
}

/// The client cannot be told any more why.
#[derive(Debug, thiserror::Error)]
#[error("the answer could not be made to its end")]
struct Broken;

fn broken(why: impl std::fmt::Display) -> Broken {
    // It is in the log as every failure is.
    drop(Failure::internal(why));
    Broken
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    fn count_to(last: usize, fails: bool) -> Body {
        let mut said = 0;
        body(move || {
            said += 1;
            match fails && said == last {
                true => Err(pintle_store::Error::Engine("a disk is gone".to_owned())),
                false if said % 2 == 0 => Ok(Made { piece: Bytes::new(), is_last: said == last }),
                false => Ok(Made { piece: said.to_string().into(), is_last: said == last }),
            }
        })
    }

    #[tokio::test]
    async fn pieces_come_in_order_to_the_last_and_a_failure_is_no_end() {
        assert_eq!(count_to(5, false).collect().await.unwrap().to_bytes(), "135");
        assert_eq!(count_to(6, false).collect().await.unwrap().to_bytes(), "135");
        assert_eq!(count_to(2, false).collect().await.unwrap().to_bytes(), "1");
        let mut broken = count_to(4, true);
        for piece in ["1", "3"] {
            assert_eq!(broken.frame().await.unwrap().unwrap().into_data().unwrap(), piece);
        }
        assert!(broken.frame().await.unwrap().is_err());
    }
}
