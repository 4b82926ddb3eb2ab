//! How far each follower of the event log is, and who works for it.

use super::{
    db::Rows,
    error::SqlError,
    values::{int, text, unsigned},
};

/// A place in the event log of a tenant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// The last event that is done; 0 for none.
    pub done: u64,
    /// A place inside the event after it; empty at its start.
    pub inside: String,
}

/// A lease that is asked for. Times are RFC 3339.
#[derive(Debug, Clone)]
pub struct Lease<'a> {
    /// Who asks.
    pub owner: &'a str,
    /// The time now.
    pub now: &'a str,
    /// When the lease ends unless it is renewed.
    pub until: &'a str,
    /// A lease that ends after this is one of a clock that was wrong, and is over.
    pub latest: &'a str,
}

impl Rows<'_> {
    /// How far a follower is; `None` when it has never followed.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn follower(&mut self, name: &str) -> Result<Option<Place>, SqlError> {
        let row = sqlx::query("SELECT done, inside FROM followers WHERE tenant = $1 AND name = $2")
            .bind(self.t())
            .bind(name.to_owned())
            .fetch_optional(&mut *self.conn)
            .await?;
        row.map(|row| Ok(Place { done: unsigned(&row, "done")?, inside: text(&row, "inside")? })).transpose()
    }

    /// Lets a follower begin at a place. One that follows already stays where it is.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn insert_follower(&mut self, name: &str, place: &Place) -> Result<(), SqlError> {
        sqlx::query(
            "INSERT INTO followers (tenant, name, done, inside, owner, leased_until) VALUES ($1, $2, $3, $4, '', '') \
             ON CONFLICT (tenant, name) DO NOTHING",
        )
        .bind(self.t())
        .bind(name.to_owned())
        .bind(int(place.done))
        .bind(place.inside.clone())
        .execute(&mut *self.conn)
        .await?;
        Ok(())
    }

    /// Moves a follower from one place to another; `false` when it is no longer at the first.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn advance_follower(&mut self, name: &str, from: &Place, to: &Place) -> Result<bool, SqlError> {
        let done = sqlx::query(
            "UPDATE followers SET done = $5, inside = $6 WHERE tenant = $1 AND name = $2 AND done = $3 AND inside = $4",
        )
        .bind(self.t())
        .bind(name.to_owned())
        .bind(int(from.done))
        .bind(from.inside.clone())
        .bind(int(to.done))
        .bind(to.inside.clone())
        .execute(&mut *self.conn)
        .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Takes or renews the right to work for a follower. `false` when somebody else has it, or there is no such follower.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn lease_follower(&mut self, name: &str, lease: &Lease<'_>) -> Result<bool, SqlError> {
        let done = sqlx::query(
            "UPDATE followers SET owner = $3, leased_until = $5 WHERE tenant = $1 AND name = $2 \
             AND (owner = $3 OR owner = '' OR leased_until < $4 OR leased_until > $6)",
        )
        .bind(self.t())
        .bind(name.to_owned())
        .bind(lease.owner.to_owned())
        .bind(lease.now.to_owned())
        .bind(lease.until.to_owned())
        .bind(lease.latest.to_owned())
        .execute(&mut *self.conn)
        .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Gives the right to work back.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn release_follower(&mut self, name: &str, owner: &str) -> Result<(), SqlError> {
        sqlx::query(
            "UPDATE followers SET owner = '', leased_until = '' WHERE tenant = $1 AND name = $2 AND owner = $3",
        )
        .bind(self.t())
        .bind(name.to_owned())
        .bind(owner.to_owned())
        .execute(&mut *self.conn)
        .await?;
        Ok(())
    }

    /// Removes a follower.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn delete_follower(&mut self, name: &str) -> Result<(), SqlError> {
        sqlx::query("DELETE FROM followers WHERE tenant = $1 AND name = $2")
            .bind(self.t())
            .bind(name.to_owned())
            .execute(&mut *self.conn)
            .await?;
        Ok(())
    }
}
