//! Where clients ask, and what they have to say first on each connection.

use std::path::PathBuf;

use crate::support::client::{Connection, Lost};

/// A server, as its clients know it.
#[derive(Clone)]
pub(crate) struct Site {
    place: Place,
    /// Sent at the beginning of each connection, before the first request.
    greeting: Option<&'static str>,
    /// Asked at the beginning of each connection, and not counted; it must be answered 200.
    login: Option<&'static str>,
    /// A header that every answer must have, and its value; without one, anything but nothing will do.
    mark: Option<(&'static str, Option<&'static str>)>,
}

#[derive(Clone)]
enum Place {
    Tcp(u16),
    Unix(PathBuf),
}

impl Site {
    pub(crate) fn at(port: u16) -> Self {
        Self { place: Place::Tcp(port), greeting: None, login: None, mark: None }
    }

    pub(crate) fn unix(path: PathBuf) -> Self {
        Self { place: Place::Unix(path), ..Self::at(0) }
    }

    pub(crate) fn greeting(self, greeting: &'static str) -> Self {
        Self { greeting: Some(greeting), ..self }
    }

    pub(crate) fn login(self, path: &'static str) -> Self {
        Self { login: Some(path), ..self }
    }

    pub(crate) fn mark(self, header: &'static str, value: Option<&'static str>) -> Self {
        Self { mark: Some((header, value)), ..self }
    }

    pub(super) fn wanted_mark(&self) -> Option<(&'static str, Option<&'static str>)> {
        self.mark
    }

    /// A new connection and the client's port of it. If it is lost, the port is given where there was one.
    pub(super) fn connect(&self) -> Result<(Connection, u16), (Lost, u16)> {
        let connection = match &self.place {
            Place::Tcp(port) => Connection::open(*port),
            Place::Unix(path) => Connection::open_unix(path),
        };
        let mut connection = connection.map_err(|lost| (lost, 0))?;
        let port = match &self.place {
            Place::Tcp(_) => connection.stream.local_addr().map_or(0, |address| address.port()),
            Place::Unix(_) => 0,
        };
        self.begin(&mut connection).map_err(|lost| (lost, port))?;
        Ok((connection, port))
    }

    fn begin(&self, connection: &mut Connection) -> Result<(), Lost> {
        if let Some(greeting) = self.greeting {
            connection.send(greeting.as_bytes())?;
        }
        let Some(login) = self.login else { return Ok(()) };
        let answer = connection.get(login)?;
        if answer.status == 200 { Ok(()) } else { Err(Lost::Wrong) }
    }
}
