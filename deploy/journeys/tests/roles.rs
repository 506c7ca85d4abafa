//! What each database role may do (S-60): every verb on every table of every database is tried as that role, over its own login,
//! and compared with the committed list. A migration that gives a role more than it had fails here until the list says so too.
#![expect(clippy::unwrap_used, reason = "a test's helpers fail loudly as the test itself does")]

use std::fmt::Write as _;
use std::path::Path;

use fittrack_journeys::{TestStack, committed};
use fittrack_local::databases::{EVENT_STORE, IDENTITY, READ_MODELS, RECORDINGS, Role};
use sqlx::{Connection, Executor, PgConnection};

/// What Postgres says to whoever may not, and where nobody could: a view cannot be truncated.
const REFUSED: [&str; 2] = ["42501", "42809"];

/// Tables and views that are ours, with their columns.
const RELATIONS: &str = "
    SELECT n.nspname || '.' || c.relname,
           array_agg(quote_ident(a.attname) ORDER BY a.attnum)
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
    WHERE c.relkind IN ('r', 'p', 'v', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
      AND n.nspname NOT LIKE 'pg\\_%'
    GROUP BY 1 ORDER BY 1";

const FUNCTIONS: &str = "
    SELECT p.proname::text, has_function_privilege($1, p.oid, 'EXECUTE')
    FROM pg_proc p
    WHERE p.pronamespace = 'public'::regnamespace AND p.prorettype <> 'trigger'::regtype
    ORDER BY 1, 2";

/// What a statement of a role may take, and where it looks for names.
const SETTINGS: [&str; 4] = ["statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "search_path"];

#[tokio::test(flavor = "multi_thread")]
async fn each_role_may_do_what_the_committed_list_says_and_nothing_else() {
    let stack = TestStack::shared().await.unwrap();
    let mut found = String::from(
        "# What each role may do: S select, I insert, U update, D delete, T truncate; in lower case on some columns only.\n\
         # Renewed with `FITTRACK_BLESS=1 cargo test -p fittrack-journeys --test roles`; read what changed, then commit it.\n",
    );
    for database in [EVENT_STORE, IDENTITY, RECORDINGS, READ_MODELS] {
        let mut owner = PgConnection::connect(&stack.database_url(database).unwrap()).await.unwrap();
        let relations: Vec<(String, Vec<String>)> = sqlx::query_as(RELATIONS).fetch_all(&mut owner).await.unwrap();
        for role in Role::ALL {
            let mut connection = PgConnection::connect(&stack.role_url(database, role).unwrap()).await.unwrap();
            for (relation, columns) in &relations {
                let verbs = verbs(&mut connection, relation, columns).await;
                writeln!(found, "{database:<12} {relation:<40} {:<20} {verbs}", role.name()).unwrap();
            }
            let functions: Vec<(String, bool)> =
                sqlx::query_as(FUNCTIONS).bind(role.name()).fetch_all(&mut owner).await.unwrap();
            for (function, may) in functions {
                let verb = if may { "execute" } else { "-" };
                writeln!(found, "{database:<12} {:<40} {:<20} {verb}", format!("{function}()"), role.name()).unwrap();
            }
            for setting in SETTINGS {
                let show = format!("SHOW {setting}");
                let value: String = sqlx::query_scalar(&show).fetch_one(&mut connection).await.unwrap();
                writeln!(found, "{database:<12} {setting:<40} {:<20} {value}", role.name()).unwrap();
            }
        }
    }
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/roles/privileges.txt");
    committed::holds(&list, &found).unwrap();
}

/// The verbs a role may use on a table, each tried and rolled back.
async fn verbs(connection: &mut PgConnection, relation: &str, columns: &[String]) -> String {
    let mut verbs = String::new();
    for (verb, whole, part) in [
        ('S', vec![format!("SELECT * FROM {relation} LIMIT 0")], format!("SELECT FROM {relation} LIMIT 0")),
        ('I', vec![format!("INSERT INTO {relation} DEFAULT VALUES")], String::new()),
        (
            'U',
            columns.iter().map(|column| format!("UPDATE {relation} SET {column} = DEFAULT WHERE false")).collect(),
            String::new(),
        ),
        ('D', vec![format!("DELETE FROM {relation} WHERE false")], String::new()),
        ('T', vec![format!("TRUNCATE {relation}")], String::new()),
    ] {
        let mut allowed = 0;
        for statement in &whole {
            allowed += usize::from(may(connection, statement).await);
        }
        let some = allowed > 0 || (!part.is_empty() && may(connection, &part).await);
        match (allowed == whole.len(), some) {
            (true, _) => verbs.push(verb),
            (false, true) => verbs.push(verb.to_ascii_lowercase()),
            (false, false) => verbs.push('-'),
        }
    }
    verbs
}

/// Whether it is not refused for want of a privilege; whatever else is wrong with it. Nothing of it stays.
async fn may(connection: &mut PgConnection, statement: &str) -> bool {
    let mut transaction = connection.begin().await.unwrap();
    let outcome = transaction.execute(statement).await;
    transaction.rollback().await.unwrap();
    let Err(error) = outcome else { return true };
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    !REFUSED.contains(&code.unwrap().as_ref())
}
