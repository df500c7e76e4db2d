//! One request of a client, for the rehearsal.

use relevo_config::prove::ClientKind;

use super::template::Framing;
use super::{Client, Connection, Echo, Template, http2, slow_upload};
use crate::ledger::Miss;
use crate::response::Answer;

impl Client {
    /// The answer to the first request of this client, over HTTP/1.1. The connection has its body.
    pub(crate) async fn once(&self, id: u64) -> Result<(Answer, Connection), Miss> {
        let plan = std::rc::Rc::clone(&self.common.plan);
        let decoder = self.decoder().keep_body();
        let mut connection = Connection::new(self.dialer.dial().await?, decoder);
        let framing = match self.kind {
            ClientKind::SlowUpload => Framing::Length(plan.upload_bytes),
            ClientKind::New
            | ClientKind::KeepAlive
            | ClientKind::Pipelined
            | ClientKind::SlowResponse
            | ClientKind::LargeResponse
            | ClientKind::Http2
            | ClientKind::WebSocket => Framing::Plan,
        };
        let mut template = Template::new(&plan, self.kind, framing, false);
        connection.send(template.with_id(id)).await?;
        if self.kind == ClientKind::SlowUpload {
            let body = slow_upload::pieces(plan.upload_bytes, framing).concat();
            let sent = connection.send(&body).await;
            // A server need not wait for a body that it does not want.
            let answer = connection.answer().await.map_err(|miss| sent.err().unwrap_or(miss))?;
            return Ok((answer, connection));
        }
        let answer = connection.answer().await?;
        Ok((answer, connection))
    }

    /// The status of the first request of this client over HTTP/2, and where its id came back.
    pub(crate) async fn once_http2(&self, id: u64) -> Result<(u16, Echo), Miss> {
        http2::once(self, id).await
    }
}
