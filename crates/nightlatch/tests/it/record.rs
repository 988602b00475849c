//! Which record a test runs on.
//!
//! What callers see must not depend on it, so most tests run on both.

use std::sync::Arc;

use nightlatch_testkit::postgres::PostgresServer;
use nightlatch_testkit::server::{Launch, NightlatchServer};

/// A kind of record.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Record {
    Sqlite,
    Postgres,
}

/// A server with what it stands on.
pub(crate) struct Stand {
    pub(crate) server: NightlatchServer,
    /// Last: the server has ended when its record goes.
    pub(crate) postgres: Option<(Arc<PostgresServer>, String)>,
}

impl Record {
    /// The server as it comes, on this record.
    pub(crate) async fn serve(self) -> Stand {
        self.serve_with(launch()).await
    }

    /// A server on this record.
    pub(crate) async fn serve_with(self, launch: Launch) -> Stand {
        match self {
            Self::Sqlite => Stand { server: launch.ready().await, postgres: None },
            Self::Postgres => {
                let postgres = PostgresServer::shared();
                let database = postgres.create_database();
                let server = launch.set("DATABASE_URL", &postgres.url(&database)).ready().await;
                Stand { server, postgres: Some((postgres, database)) }
            }
        }
    }
}

/// The server as it comes: development, SQLite in a folder of its own.
pub(crate) fn launch() -> Launch {
    Launch::of(env!("CARGO_BIN_EXE_nightlatch"))
}

/// Makes tests of functions that take a [`Record`]: one for each record.
macro_rules! on_each_record {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    Box::pin(super::$name(crate::record::Record::Sqlite)).await;
                }
            )+
        }

        mod postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    Box::pin(super::$name(crate::record::Record::Postgres)).await;
                }
            )+
        }
    };
}

pub(crate) use on_each_record;
