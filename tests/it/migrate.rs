//! `dbctl migrate`, and the schema that the nine migrations make.

use crate::support::postgres::Server;

#[test]
fn a_stopped_server_comes_back_with_what_was_committed() {
    let server = Server::own();
    let db = server.fresh_database();
    db.migrate_by_hand();
    db.psql("INSERT INTO security.nonce_watermarks VALUES ('n', 's', 100, 10)");
    server.kill();
    server.start();
    assert_eq!(
        db.psql("SELECT reserved_high FROM security.nonce_watermarks"),
        "100"
    );
}

#[test]
fn each_kind_of_scratch_database_runs_the_nine_and_leaves_nothing_behind() {
    use dbctl::pg::scratch::{Choice, Scratch};
    let server = Server::own();
    for choice in [
        Choice::Embedded,
        Choice::Native,
        Choice::Url(server.url("postgres")),
    ] {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let t = std::time::Instant::now();
            let scratch = Scratch::start(&choice, None).await.unwrap();
            eprintln!("{} {:?}", scratch.description(), t.elapsed());
            for i in 1..10 {
                let f = glob(i);
                sqlx::raw_sql(sqlx::AssertSqlSafe(std::fs::read_to_string(f).unwrap()))
                    .execute(scratch.database().pool())
                    .await
                    .unwrap();
            }
            eprintln!("{:?}", t.elapsed());
            scratch.stop().await.unwrap();
            eprintln!("{:?}", t.elapsed());
        });
    }
}
fn glob(i: usize) -> std::path::PathBuf {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    std::fs::read_dir(dir)
        .unwrap()
        .map(|e| e.unwrap().path())
        .find(|p| p.to_str().unwrap().contains(&format!("V000{i}")))
        .unwrap()
}
