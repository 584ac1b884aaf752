//! Which files of a database aren't beside it but in buckets.

use super::{UpkeepError, close, existing};
use crate::StoreError;
use crate::database::DatabaseUrl;
use crate::sql::{Sql, query};

pub(crate) const BUCKETS: Sql = Sql::same(
    "
    select bucket, count(*) from files where backend = 'bucket' and state = 'stored'
    group by bucket order by bucket",
);

/// The buckets that have files of this database, each with how many.
///
/// # Errors
/// If it can't be read.
pub async fn buckets(url: &DatabaseUrl) -> Result<Vec<(String, u64)>, UpkeepError> {
    let read = || StoreError::read("the files");
    let mut connection = existing(url).await?;
    let rows = query(BUCKETS).fetch_all(&mut connection).await.map_err(read())?;
    let buckets = rows.iter().map(|row| Ok((row.text(0)?.to_owned(), row.count(1)?)));
    let buckets = buckets.collect::<Result<_, sqlx::Error>>().map_err(read())?;
    close(connection).await;
    Ok(buckets)
}
