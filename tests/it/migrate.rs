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
