//! `schedule` and `gc`: what a running server does by itself.

use std::process::ExitCode;

use ashlar_release::CollectGarbage;
use ashlar_server::endpoints::rows;

use super::changeset;
use crate::{
    args::{At, ScheduleCommand},
    backend::Local,
    error::Done,
    output,
    session::Session,
    words,
};

pub async fn schedule(command: ScheduleCommand) -> Done {
    match command {
        ScheduleCommand::Run { at } => run(&Session::open(&at).await?).await,
        ScheduleCommand::List { at } => {
            let session = Session::open(&at).await?;
            let here =
                async |local: &Local, at: Option<&str>| local.engine.planned_changesets(&local.ctx, at).await;
            let planned = session.read_pages(here, || rows::LIST_SCHEDULES.call()).await?;
            changeset::list(&session, &planned)
        }
    }
}

async fn run(session: &Session) -> Done {
    let answer = session.read(async |local| local.engine.tick().await, rows::RUN_SCHEDULES.call()).await?;
    let count = |name: &str| answer[name].as_array().map_or(0, Vec::len);
    let (ran, failed) = (count("done"), count("failed"));
    session.report(&answer, &format!("{ran} ran, {failed} failed"))?;
    Ok(ExitCode::from(u8::from(failed > 0)))
}

pub async fn gc(at: At) -> Done {
    let session = Session::open(&at).await?;
    let answer = session.run(CollectGarbage, rows::COLLECT_GARBAGE.call(), None).await?;
    let mut sentence = format!(
        "{} deleted, {} freed, {} left",
        words::count_in(&answer, "objects_removed", "object", "objects"),
        words::count_in(&answer, "bytes_freed", "byte", "bytes"),
        words::count_in(&answer, "packs_after", "pack", "packs")
    );
    if answer["packs_condemned"].as_u64().is_some_and(|count| count > 0) {
        let count = output::text(&answer, "packs_condemned");
        sentence.push_str(&format!("; {count} more will be deleted after the grace period"));
    }
    session.report(&answer, &sentence)
}
