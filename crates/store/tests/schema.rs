//! The tables that every version has to read, as all migrations leave them.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use ashlar_store::sql::Db;
use sqlx::{AnyConnection, Connection as _, Row as _};

/// A change of the schema is a new migration, never an edit of one that was shipped: this file grows with it.
/// `ASHLAR_GOLDEN=write` writes it.
#[tokio::test]
async fn the_schema_is_the_one_that_was_agreed() {
    let dir = tempfile::tempdir().unwrap();
    let address = format!("sqlite://{}", dir.path().join("state.db").display());
    Db::open(&address).await.unwrap().close().await;
    let mut conn = AnyConnection::connect(&address).await.unwrap();
    let rows = sqlx::query(
        "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE '\\_sqlx%' ESCAPE '\\' ORDER BY name",
    )
    .fetch_all(&mut conn)
    .await
    .unwrap();
    let schema: String = rows.iter().map(|row| format!("{};\n\n", row.get::<String, _>("sql"))).collect();
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/test-data/schema.sql");
    if std::env::var("ASHLAR_GOLDEN").is_ok_and(|v| v == "write") {
        std::fs::write(file, &schema).unwrap();
    }
    assert_eq!(schema, std::fs::read_to_string(file).unwrap(), "the schema has changed");
}
