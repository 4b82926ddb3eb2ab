use std::{io::Write, sync::Arc};

use ashlar_model::{ReleaseId, Right};
use ashlar_release::{
    CandidateView, ChannelView, ImportBundle, Page, ReleaseDiff, ReleaseError, ReleaseInfo, Rollback,
    RolledBack, Verification,
};
use ashlar_store::StoreError;
use axum::{
    body::{Body as HttpBody, Bytes},
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use futures::StreamExt;
use tokio::sync::mpsc;

use super::{
    candidates::{Cursor, MoveBody, created, serve_now},
    state::{Answer, Api, answer},
};
use crate::endpoints::extract::{Body, Path, Query};
use crate::{access::Caller, delivery::serving::Serving, endpoints::signature::Created, front::ApiError};

pub async fn list(caller: Caller, Query(at): Query<Cursor>) -> Answer<Page<ReleaseInfo>> {
    answer(caller.engine.releases(&caller.ctx, at.cursor.as_deref()).await?)
}

pub async fn show(caller: Caller, Path(release): Path<ReleaseId>) -> Answer<ReleaseInfo> {
    answer(caller.engine.release(&caller.ctx, release).await?)
}

pub async fn channels(caller: Caller) -> Answer<Vec<ChannelView>> {
    answer(caller.engine.channels(&caller.ctx).await?)
}

pub async fn rollback(
    State(serving): State<Arc<Serving>>,
    caller: Caller,
    Path(release): Path<ReleaseId>,
    Body(body): Body<MoveBody>,
) -> Answer<RolledBack> {
    let rollback = Rollback { release, channel: body.channel, note: body.note };
    let done = caller.engine.run(&caller.ctx, rollback).await?;
    serve_now(serving, &caller, &done.channel).await?;
    answer(done)
}

pub async fn diff(caller: Caller, Path((from, to)): Path<(ReleaseId, ReleaseId)>) -> Answer<ReleaseDiff> {
    answer(caller.engine.diff(&caller.ctx, from, to).await?)
}

pub async fn verify(caller: Caller, Path(release): Path<ReleaseId>) -> Answer<Verification> {
    answer(caller.engine.verify(&caller.ctx, release).await?)
}

/// Hands what is written on to a response, a piece at a time.
struct Pieces(mpsc::Sender<Result<Bytes, std::io::Error>>);

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let gone = |_| std::io::Error::new(std::io::ErrorKind::BrokenPipe, "the reader has gone");
        self.0.blocking_send(Ok(Bytes::copy_from_slice(bytes))).map_err(gone)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

pub async fn export(caller: Caller, Path(release): Path<ReleaseId>) -> Result<Response, ApiError> {
    caller.engine.release(&caller.ctx, release).await?;
    let (send, receive) = mpsc::channel(8);
    let failed = send.clone();
    tokio::spawn(async move {
        let out = std::io::BufWriter::with_capacity(256 << 10, Pieces(send));
        if let Err(error) = caller.engine.export(&caller.ctx, release, out).await {
            // The response has begun, so its end is cut off: the reader sees an incomplete bundle, which it refuses.
            let _ = failed.send(Err(std::io::Error::other(error.to_string()))).await;
        }
    });
    let stream = futures::stream::unfold(receive, |mut r| async { r.recv().await.map(|piece| (piece, r)) });
    let name = format!("attachment; filename=\"{release}.ashlar\"");
    let headers =
        [(header::CONTENT_TYPE, "application/octet-stream".to_owned()), (header::CONTENT_DISPOSITION, name)];
    Ok((headers, HttpBody::from_stream(stream)).into_response())
}

/// Makes a candidate of an exported release; the body is the file.
pub async fn import(
    State(api): State<Api>,
    caller: Caller,
    body: HttpBody,
) -> Result<Created<CandidateView>, ApiError> {
    // Before anything is taken in.
    caller.engine.permit(&caller.ctx, Right::Release)?;
    // Beside the packs, not in a directory that may be memory; without a name, so that it goes with this request.
    let objects = caller.engine.tenant_objects(&caller.ctx.tenant);
    let made = tokio::task::spawn_blocking(move || {
        let dir = objects.incoming()?;
        let file = tempfile::tempfile_in(&dir).map_err(|e| StoreError::io("make a file in", &dir, e))?;
        Ok::<_, StoreError>((file, dir))
    });
    let made = made.await.map_err(|e| ReleaseError::Task(e.to_string()))?;
    let (file, dir) = made.map_err(ReleaseError::from)?;
    let failed = |e| ApiError::from(ReleaseError::from(StoreError::io("write an upload in", &dir, e)));
    let mut out = tokio::fs::File::from_std(file);
    let mut pieces = body.into_data_stream();
    let mut left = api.upload_bytes_max;
    while let Some(piece) = pieces.next().await {
        let piece =
            piece.map_err(|e| ApiError::invalid(format!("the upload broke off: {e}"), "send it again"))?;
        left = left.checked_sub(piece.len() as u64).ok_or_else(|| {
            let detail = format!("the file is larger than {} bytes", api.upload_bytes_max);
            ApiError::new(413, "too-large", detail, "raise server.upload_bytes_max, or import it with --data")
        })?;
        tokio::io::AsyncWriteExt::write_all(&mut out, &piece).await.map_err(failed)?;
    }
    tokio::io::AsyncSeekExt::rewind(&mut out).await.map_err(failed)?;
    let source = Box::new(std::io::BufReader::with_capacity(1 << 20, out.into_std().await));
    Ok(created(caller.engine.run(&caller.ctx, ImportBundle { source, note: String::new() }).await?))
}
