//! `doctor database --fix`: what was tried at the server and worked is written, and nothing else.

use nightlatch_testkit::authority::Authority;
use nightlatch_testkit::pgbouncer::PgBouncer;
use nightlatch_testkit::postgres::PostgresServer;
use nightlatch_testkit::process::free_port;

use super::fixed;

/// Exactly this is written, and the server is well with it.
fn assert_fixed(before: &str, after: &str) {
    let (written, found) = fixed("database", before);
    assert_eq!(written, after, "{:#?}", found.findings);
    assert_eq!((found.wrong(), found.code), (vec![], Some(0)), "{:#?}", found.findings);
}

fn assert_left(text: &str, id: &str) {
    let (written, found) = fixed("database", text);
    assert_eq!(written, text, "{:#?}", found.findings);
    found.find(id);
}

fn server_with_a_shop() -> PostgresServer {
    let server = PostgresServer::launch();
    server.sql("postgres", "CREATE ROLE app LOGIN PASSWORD 'sesame/1%'");
    server.sql("postgres", "CREATE DATABASE shop OWNER app");
    server
}

#[test]
fn a_url_that_is_written_in_another_way_is_tried_and_written_as_it_is_taken() {
    let server = server_with_a_shop();
    let at = format!("127.0.0.1:{}/shop", server.port());
    let sound = format!("DATABASE_URL=postgres://app:sesame%2F1%25@{at}\n");
    for before in [
        format!("DATABASE_URL=postgresql+psycopg://app:sesame%2F1%25@{at}\n"),
        format!("DATABASE_URL=postgres+asyncpg://app:sesame%2F1%25@{at}\n"),
        format!("DATABASE_URL=psql://app:sesame/1%@{at}\n"),
        format!("DATABASE_URL=postgres://app:sesame/1%@{at}\n"),
        format!("DATABASE_URL=postgres://app:sesame%252F1%2525@{at}\n"),
        format!("DATABASE_URL=postgres://app:%22sesame%2F1%25%22@{at}\n"),
    ] {
        assert_fixed(&before, &sound);
    }
    let quoted = format!("DATABASE_URL=\"'postgresql://app:sesame%2F1%25@{at}?a=b'\"\n");
    let (written, _) = fixed("database", &quoted);
    assert_eq!(written, format!("DATABASE_URL=\"postgresql://app:sesame%2F1%25@{at}?a=b\"\n"));
    // It would not be let in so, either.
    for text in [
        format!("DATABASE_URL=postgresql+psycopg://app:sesame-no@{at}\n"),
        format!("DATABASE_URL=postgresql+psycopg://app:sesame@127.0.0.1:{}/shop\n", free_port()),
    ] {
        assert_left(&text, "database-url-scheme");
    }
    assert_left(
        &format!("DATABASE_URL=postgres://app:ses/ame@{at}\n"),
        "database-password-unencoded",
    );
}

#[test]
fn a_password_beside_it_is_written_where_it_works_and_is_for_that_server() {
    let server = server_with_a_shop();
    let at = format!("127.0.0.1:{}/shop", server.port());
    let text = |before: &str, password: &str| {
        format!("{before}DATABASE_URL=postgres://app{password}@{at}\n")
    };
    let beside = "POSTGRES_USER=app\nPOSTGRES_PASSWORD='sesame/1%'\n";
    assert_fixed(&text(beside, ""), &text(beside, ":sesame%2F1%25"));
    assert_fixed(&text(beside, ":sesame-old"), &text(beside, ":sesame%2F1%25"));
    for other in [
        "POSTGRES_USER=other\nPOSTGRES_PASSWORD='sesame/1%'\n",
        "PGHOST=other\nPGPASSWORD='sesame/1%'\n",
    ] {
        assert_left(&text(other, ""), "database-auth-required");
    }
    let apart = |password: &str| format!("DATABASE_PASSWORD={password}\n{}", text("", ""));
    assert_fixed(&apart("sesame%2F1%25"), &apart("sesame/1%"));
    assert_left(&apart("sesame-no"), "database-auth-failed");
}

#[test]
fn a_database_that_is_misspelt_is_written_as_the_only_one_that_is_near() {
    let server = server_with_a_shop();
    let text = |database: &str| {
        format!(
            "DATABASE_URL=postgres://app:sesame%2F1%25@127.0.0.1:{}/{database}\n",
            server.port()
        )
    };
    assert_fixed(&text("shpo?application_name=a"), &text("shop?application_name=a"));
    let pool = PgBouncer::launch(&server, 3);
    let of_pool = |database: &str| format!("DATABASE_URL={}?pgbouncer=true\n", pool.url(database));
    assert_fixed(&of_pool("sohp"), &of_pool("shop"));
    // Names that differ by a number, or by more, are other ones.
    server.sql("postgres", "CREATE DATABASE shop_2");
    for other in ["shop_1", "store"] {
        assert_left(&text(other), "database-missing");
    }
}

#[test]
fn tls_is_added_where_it_is_demanded_and_never_taken_away() {
    let authority = Authority::new();
    let server = server_with_a_shop();
    let (certificate, key) = authority.issue("db.test", 2);
    let url = |mode: &str| {
        let at = format!("db.test:{}/shop?hostaddr=127.0.0.1", server.port());
        format!("DATABASE_URL=postgres://app:sesame%2F1%25@{at}&sslmode={mode}\n")
    };
    assert_left(&url("require"), "database-tls-not-spoken");
    server.put_file("server.pem", &certificate);
    server.put_file("server.key", &key);
    server.put_file("pg_hba.conf", "hostssl all all 127.0.0.1/32 scram-sha-256\n");
    server.configure(&[
        ("ssl_cert_file", "server.pem"),
        ("ssl_key_file", "server.key"),
        ("ssl", "on"),
    ]);
    server.stop();
    server.start();
    assert_fixed(&url("disable"), &url("require"));
    assert_left(&url("verify-full"), "database-tls-untrusted");
}

#[test]
fn a_pool_at_the_other_port_of_the_same_host_is_found_and_said() {
    let server = PostgresServer::launch();
    let database = server.create_database();
    let pool = PgBouncer::launch_at_its_port(&server);
    let url = pool.url(&database);
    let wrong = url.replace(":6432/", ":5432/");
    let of = |ours: &str, url: &str| format!("{ours}DATABASE_URL={url}\n");
    let ours = "SESSION_SECRET_KEY=0123456789-sesame-0123456789-abcdef\n";
    assert_fixed(&of(ours, &wrong), &of(ours, &format!("{url}?pgbouncer=true")));
    // Another program does not know that word.
    let (written, found) = fixed("database", &of("", &wrong));
    assert_eq!((written, found.wrong()), (of("", &url), vec!["database-pool-undeclared"]));
}
