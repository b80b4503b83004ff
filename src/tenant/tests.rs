//! The router gives each tenant its own database, each role its own rights, and nothing else.

use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::id::{CollectionName, ProjectName, TeamName, UserName};
use crate::store::{Batch, CollectionKind, EmbeddedStore, Filter, Schema, StoreError};

fn router(data: &Path) -> Router {
    Router::new(Arc::new(EmbeddedStore::new(data)))
}

fn local(path: &str) -> TenantContext {
    TenantContext::local(Path::new(path)).unwrap()
}

fn member(organisation: &str, role: Role) -> Result<TenantContext, TenantError> {
    let member = Member {
        organisation: DatabaseName::new(organisation)?,
        team: TeamName::new("core")?,
        project: ProjectName::new("app")?,
        user: UserName::new("ada")?,
    };
    TenantContext::member(member, role)
}

fn schema(source: &str) -> Schema {
    Schema { kind: CollectionKind::Codebase, legs: [None, None], source: source.as_bytes().to_vec() }
}

#[test]
fn tenants_see_their_own_data_alone() {
    let data = tempfile::tempdir().unwrap();
    let router = router(data.path());
    // Alike to the eye, or one a part of the other.
    let paths = ["/src/demo", "/src/dem\u{43e}", "/src/Demo", "/src/demo2", "/src"];
    let mut tenants = paths.map(local).to_vec();
    tenants.extend(["acme", "acme_", "a"].map(|name| member(name, Role::Admin).unwrap()));
    let databases: Vec<Database> = tenants.iter().map(|tenant| router.database(tenant).unwrap()).collect();
    let collection = tenants[0].code_collection(Path::new("/src/demo")).unwrap();
    for (index, database) in databases.iter().enumerate() {
        database.create(&collection, &schema("/src/demo")).unwrap();
        assert_eq!(database.collections().unwrap(), std::slice::from_ref(&collection));
        for other in &databases[index + 1..] {
            assert_eq!(other.collections().unwrap(), []);
            assert!(matches!(other.schema(&collection), Err(StoreError::NotFound { .. })));
            assert!(matches!(other.info(), Err(StoreError::NoDatabase { .. })));
        }
    }
    assert_eq!(router.shared(&tenants[0]).unwrap().collections().unwrap(), []);
    assert_eq!(router.shared(&tenants[0]).unwrap().name(), router.shared(&tenants[1]).unwrap().name());
    // An organisation shares within itself.
    assert_eq!(router.shared(&tenants[5]).unwrap().name(), databases[5].name());
    assert_eq!(router.database(&tenants[0].clone()).unwrap().name(), databases[0].name());
}

/// Every operation of a database, by name.
type Operation = (&'static str, Role, fn(&Database, &CollectionName) -> Result<(), StoreError>);

const OPERATIONS: [Operation; 16] = [
    ("info", Role::Read, |db, _| db.info().map(drop)),
    ("collections", Role::Read, |db, _| db.collections().map(drop)),
    ("schema", Role::Read, |db, name| db.schema(name).map(drop)),
    ("snapshot", Role::Read, |db, name| db.snapshot(name).map(drop)),
    ("vector_keys", Role::Read, |db, name| db.vector_keys(name, crate::embed::Leg::Text).map(drop)),
    ("vectors", Role::Read, |db, name| db.vectors(name, crate::embed::Leg::Text, &[]).map(drop)),
    ("search", Role::Read, |db, name| db.search(name, &[], &Filter::default(), 1).map(drop)),
    ("spellings", Role::Read, |db, name| db.spellings(name, &["abcde".to_owned()]).map(drop)),
    ("scan", Role::Read, |db, name| db.scan(name, &mut drop)),
    ("check", Role::Read, |db, name| db.check(name).map(drop)),
    ("stats", Role::Read, |db, name| db.stats(name).map(drop)),
    ("ensure", Role::Write, |db, _| db.ensure()),
    ("create", Role::Write, |db, name| db.create(name, &schema("/src/demo"))),
    ("apply", Role::Write, |db, name| {
        db.apply(name, Batch { state: Some("x".to_owned()), ..Batch::default() })
    }),
    ("drop_collection", Role::Write, |db, name| db.drop_collection(name)),
    ("drop_whole", Role::Admin, |db, _| db.drop_whole()),
];

#[test]
fn every_operation_asks_for_its_role_and_finds_nothing_of_others() {
    let source = include_str!("database.rs");
    let methods = source.matches("\n    pub fn ").count();
    // Besides: its two names, and setting aside, which is as dropping a collection.
    assert_eq!(methods, OPERATIONS.len() + 3, "an operation is in no row");
    for role in Role::ALL {
        for (name, needs, operation) in OPERATIONS {
            let data = tempfile::tempdir().unwrap();
            let router = router(data.path());
            let collection = CollectionName::new("core_app_codebase_00000000").unwrap();
            let owner = router.database(&member("acme", Role::Admin).unwrap()).unwrap();
            owner.create(&collection, &schema("/src/demo")).unwrap();
            let database = router.database(&member("acme", role).unwrap()).unwrap();
            match operation(&database, &collection) {
                Ok(()) => assert!(role >= needs, "{name} with {role:?}"),
                Err(StoreError::Denied { .. }) => assert!(role < needs, "{name} with {role:?}"),
                Err(error) => panic!("{name} with {role:?}: {error}"),
            }
            if role < needs {
                assert_eq!(owner.collections().unwrap(), std::slice::from_ref(&collection), "{name}");
            }
            // Another organisation's member with the same names.
            let other = router.database(&member("rival", role).unwrap()).unwrap();
            let result = operation(&other, &collection);
            let creates = ["ensure", "create"].contains(&name) && role >= needs;
            let lists = name == "collections";
            assert_eq!(result.is_ok(), creates || lists, "{name} with {role:?} of another: {result:?}");
            if name != "drop_whole" && name != "drop_collection" {
                assert_eq!(owner.collections().unwrap(), std::slice::from_ref(&collection), "{name}");
            }
        }
    }
}

#[test]
fn names_of_other_databases_are_no_organisations() {
    for (name, reserved) in [
        ("acme", false),
        ("projects", false),
        ("shared", true),
        ("project_1a2b3c4d", true),
        ("project_", true),
        ("shared2", false),
    ] {
        let error = member(name, Role::Admin).err();
        assert_eq!(matches!(error, Some(TenantError::Reserved(_))), reserved, "{name}: {error:?}");
    }
    for malformed in ["", "../up", "acme/..", "Acme", "acm\u{435}", "ａcme", &"x".repeat(65), "a b", "a\0"] {
        assert!(matches!(member(malformed, Role::Admin), Err(TenantError::Name(_))), "{malformed:?}");
    }
}

#[test]
fn equal_hashes_of_two_paths_are_a_collision() {
    let data = tempfile::tempdir().unwrap();
    let router = router(data.path());
    // Found by search: their SHA-256 have the same first 8 digits.
    let [first, second] = ["/src/worktree-21799", "/src/worktree-36824"];
    let tenant = local("/src/demo");
    let collection = |path: &str| tenant.code_collection(Path::new(path)).unwrap();
    assert_eq!(collection(first), collection(second));
    let database = router.database(&tenant).unwrap();
    database.create(&collection(first), &schema(first)).unwrap();
    let error = database.create(&collection(second), &schema(second)).unwrap_err();
    assert!(matches!(error, StoreError::Collision { .. }), "{error}");
    database.create(&collection(first), &schema(first)).unwrap();

    let [first, second] = [first, second].map(|path| router.database(&local(path)).unwrap());
    assert_eq!(first.name(), second.name());
    first.create(&collection("/w"), &schema("/w")).unwrap();
    let error = second.create(&collection("/w"), &schema("/w")).unwrap_err();
    assert!(matches!(error, StoreError::DatabaseCollision { .. }), "{error}");
}

#[test]
fn the_owner_of_a_machine_sees_and_removes_every_database() {
    let data = tempfile::tempdir().unwrap();
    let router = router(data.path());
    let catalogue = router.catalogue(&MachineOwner::at_the_command_line());
    catalogue.create_project(&local("/src/demo")).unwrap();
    catalogue.create_shared().unwrap();
    catalogue.create_organisation(&DatabaseName::new("acme").unwrap()).unwrap();
    assert!(catalogue.create_organisation(&DatabaseName::new("shared").unwrap()).is_err());
    let found = catalogue.names().unwrap();
    let kinds: Vec<_> = found.iter().map(|name| catalogue.open(name).unwrap().kind()).collect();
    assert_eq!(kinds, [DatabaseKind::Organisation, DatabaseKind::Project, DatabaseKind::Shared]);
    for name in &found {
        catalogue.open(name).unwrap().drop_whole().unwrap();
    }
    assert!(catalogue.names().unwrap().is_empty());
    assert!(matches!(catalogue.open(&found[0]), Err(StoreError::NoDatabase { .. })));
}

#[test]
fn a_database_is_made_like_that_of_another_store() {
    let [first, second] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [from, to] =
        [&first, &second].map(|data| router(data.path()).catalogue(&MachineOwner::at_the_command_line()));
    let original = from.create_project(&local("/src/demo")).unwrap();
    let made = to.create_like(&original).unwrap();
    assert_eq!((made.name(), made.info().unwrap()), (original.name(), original.info().unwrap()));
    to.create_like(&original).unwrap();
    // Its project finds it, and one of another path with its name is not it.
    let own = router(second.path()).database(&local("/src/demo")).unwrap();
    assert_eq!(own.info().unwrap(), original.info().unwrap());
    let [a, b] = ["/src/worktree-21799", "/src/worktree-36824"].map(local);
    to.create_project(&a).unwrap();
    let other = from.create_project(&b).unwrap();
    let error = to.create_like(&other).err();
    assert!(matches!(error, Some(CatalogueError::Store(StoreError::DatabaseCollision { .. }))), "{error:?}");
}

fn tenants() -> impl Strategy<Value = TenantContext> {
    let path = "(/[a-zа-я.]{1,4}){1,3}"
        .prop_filter_map("canonical", |path| TenantContext::local(Path::new(&path)).ok());
    let organisation = "[a-z_]{1,3}".prop_filter_map("allowed", |name| member(&name, Role::Read).ok());
    prop_oneof![path, organisation]
}

proptest! {
    /// One database means one tenant: the same project, or the same organisation.
    #[test]
    fn a_tenant_never_gets_the_database_of_another(a in tenants(), b in tenants()) {
        let data = tempfile::tempdir().unwrap();
        let router = router(data.path());
        let names = [&a, &b].map(|tenant| router.database(tenant).unwrap().name().clone());
        let same = match (a.scope(), b.scope()) {
            (Scope::Local { project: a }, Scope::Local { project: b }) => a == b,
            (Scope::Member(a), Scope::Member(b)) => a.organisation == b.organisation,
            _ => false,
        };
        prop_assert_eq!(names[0] == names[1], same, "{:?} and {:?}", a, b);
        for tenant in [&a, &b] {
            let shared = router.shared(tenant).unwrap();
            let own = router.database(tenant).unwrap();
            let is_member = matches!(tenant.scope(), Scope::Member(_));
            prop_assert_eq!(shared.name() == own.name(), is_member);
            prop_assert_eq!(shared.kind() == DatabaseKind::Shared, !is_member);
        }
    }

    /// Whatever is offered as a name, it is refused or is itself, and never a path.
    #[test]
    fn a_name_is_itself_or_refused(name in ".{0,70}") {
        if let Ok(tenant) = member(&name, Role::Write) {
            let data = tempfile::tempdir().unwrap();
            let database = router(data.path()).database(&tenant).unwrap();
            prop_assert_eq!(database.name().as_str(), name.as_str());
            prop_assert!(!name.contains(['/', '.', '\\', '\0']));
        }
    }
}
