//! What must go, what must stay, and that lines stay where they are.

use proptest::prelude::*;

use super::*;

fn run(path: &str, text: &str) -> (String, u32) {
    redact(&RepoPath::new(path).unwrap(), text)
}

/// Random-looking text that no scanner of this repository takes for a leak.
fn noise(length: usize) -> String {
    let mut state = 7u32;
    let mut next = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b"aZ3kQ9xB7mT1vW5pL8cR2dYh4nF6sJ0e"[(state >> 20) as usize % 32])
    };
    (0..length).map(|_| next()).collect()
}

#[test]
fn secrets_by_form() {
    let n = noise;
    let upper = |length: usize| n(length).to_ascii_uppercase();
    let cases = [
        ("aws_access_key", format!("AKIA{}", upper(16))),
        ("gcp_key", format!("AIza{}", n(35))),
        ("github_token", format!("ghp_{}", n(36))),
        ("github_token", format!("github_pat_{}", n(40))),
        ("gitlab_token", format!("glpat-{}", n(20))),
        ("slack_token", format!("xoxb-{}", n(24))),
        ("stripe_key", format!("sk_live_{}", n(24))),
        ("anthropic_key", format!("sk-ant-api03-{}", n(40))),
        ("openai_key", format!("sk-proj-{}", n(40))),
        ("npm_token", format!("npm_{}", n(36))),
        ("pypi_token", format!("pypi-AgE{}", n(60))),
        ("indexer_token", format!("ctxi_{}", "0f3a9c71".repeat(8))),
        ("jwt", format!("eyJ{}.eyJ{}.{}", n(20), n(30), n(20))),
    ];
    for (kind, secret) in cases {
        let text = format!("let x = f(\"{secret}\"); // end\n");
        assert_eq!(
            run("a.rs", &text),
            (format!("let x = f(\"[REDACTED:{kind}]\"); // end\n"), 1),
            "{secret}"
        );
    }
}

#[test]
fn secrets_by_place() {
    let n = noise;
    let cases = [
        ("a.py", format!("password = \"hunter2{}\"", n(4)), "password = \"[REDACTED:password]\""),
        ("a.py", "db_password: str = 'pa55-word!'".into(), "db_password: str = '[REDACTED:password]'"),
        ("a.json", format!("{{\"api_key\": \"{}\"}}", n(24)), "{\"api_key\": \"[REDACTED:token]\"}"),
        ("a.go", format!("apiKey := \"{}\"", n(32)), "apiKey := \"[REDACTED:token]\""),
        ("a.yml", "  password: s3cr3t-9\n".into(), "  password: [REDACTED:password]\n"),
        (
            "a.sh",
            format!("export AWS_SECRET_ACCESS_KEY={}\n", n(40)),
            "export AWS_SECRET_ACCESS_KEY=[REDACTED:password]\n",
        ),
        (
            "a.js",
            format!("headers: {{ Authorization: 'Bearer {}' }}", n(32)),
            "headers: { Authorization: 'Bearer [REDACTED:authorization]' }",
        ),
        ("a.md", "postgres://app:p4ss.w0rd@db/x".into(), "postgres://app:[REDACTED:url_password]@db/x"),
        (
            ".env",
            "# c\nA=1\nexport B=\"x y\"\nC=\n".into(),
            "# c\nA=[REDACTED:value]\nexport B=[REDACTED:value]\nC=\n",
        ),
        (".env.local", "K=\"a\nb\nc\"\nD=2".into(), "K=[REDACTED:value]\n\n\nD=[REDACTED:value]"),
        (".npmrc", "//r/:_authToken=abc\n".into(), "//r/:_authToken=[REDACTED:value]\n"),
        (
            ".netrc",
            "machine h login me password pw\n".into(),
            "machine h login me password [REDACTED:value]\n",
        ),
        (
            "home/.aws/credentials",
            "[default]\naws_secret_access_key = x\n".into(),
            "[default]\naws_secret_access_key = [REDACTED:value]\n",
        ),
    ];
    for (path, text, expected) in cases {
        let (redacted, count) = run(path, &text);
        assert_eq!(redacted, expected, "{path}: {text}");
        assert!(count > 0);
    }
}

#[test]
fn private_keys_with_and_without_an_end() {
    let body: String = (0..4).map(|_| format!("{}\n", noise(64))).collect();
    let block = format!("a\n-----BEGIN RSA PRIVATE KEY-----\n{body}-----END RSA PRIVATE KEY-----\nb\n");
    assert_eq!(run("k.pem", &block), (format!("a\n[REDACTED:private_key]{}\nb\n", "\n".repeat(5)), 1));
    let torn = format!("-----BEGIN PRIVATE KEY-----\n{body}");
    let (redacted, count) = run("k.pem", &torn);
    assert_eq!((redacted.contains(&noise(20)), count), (false, 1));
    let escaped =
        format!("k = \"-----BEGIN EC PRIVATE KEY-----\\n{}\\n-----END EC PRIVATE KEY-----\\n\"", noise(90));
    assert_eq!(run("k.py", &escaped).0, "k = \"[REDACTED:private_key]\\n\"");
}

#[test]
fn ordinary_code_stays() {
    let cases = [
        "password: String,",
        "token = next_token()",
        "let secret = env::var(\"APP_SECRET_V2\")?;",
        "secret = os.environ['APP_SECRET_V2']",
        "const token = process.env.GITHUB_TOKEN1;",
        "let password = prompt_password(\"Password1: \")?;",
        "password = \"\"",
        "password = \"password\"",
        "token: 'string'",
        "PASSWORD_FIELD = \"user_password\"",
        "token = \"<YOUR_TOKEN_123>\"",
        "password = \"${DB_PASSWORD_1}\"",
        "password: \"changeme123\"",
        "{\"token\": \"access_token\"}",
        "if token == \"abc123def456\" {",
        "secret_name: my-app-secrets",
        "let tokens = tokenizer.encode(text, true)?;",
        "const TOKEN_HEADER: &str = \"x-auth-token-v2\";",
        "https://user:pass@example.com/x",
        "https://user:${PASSWORD}@host/",
        "http://localhost:8080/a@b",
        "git clone https://github.com/a/b",
        "if line == \"-----BEGIN RSA PRIVATE KEY-----\" { return Kind::Rsa; }",
        "basic authentication is described below",
        "bearer tokens are_not_secret_by_themselves",
        ".sk-folding-cube-animation-delay { }",
        "checksum = \"5bd0d2dc4ef8a0fa2ffd2a1b0b1a8d2a8e0d1c6f6d1e7b3c5a4f\"",
        "\"password.min8\": \"At least 8 characters!\"",
        "KeyToken::new(\"a\")",
    ];
    for path in ["a.rs", "a.py", "a.ts", "a.toml"] {
        for text in cases {
            assert_eq!(run(path, text), (text.to_owned(), 0), "{path}");
        }
    }
    assert_eq!(run("a.yml", "token: ${{ secrets.GITHUB_TOKEN }}\nsecretName: app-tls-v2\n").1, 0);
}

proptest! {
    #[test]
    fn any_text(text in "(\\PC|[\n\r\"'=: -]|password|://|@|token|-----BEGIN PRIVATE KEY-----|=\"a1b2c3d4\"){0,60}", path in "a\\.(rs|yml)|\\.env|\\.netrc|\\.pgpass") {
        let path = RepoPath::new(path).unwrap();
        let secrets = find(&path, &text);
        let mut at = 0;
        for secret in &secrets {
            prop_assert!(secret.bytes.start >= at && secret.bytes.end > secret.bytes.start);
            prop_assert!(text.is_char_boundary(secret.bytes.start) && text.is_char_boundary(secret.bytes.end));
            at = secret.bytes.end;
        }
        let (redacted, count) = redact(&path, &text);
        prop_assert_eq!(count as usize, secrets.len());
        prop_assert_eq!(redacted.matches('\n').count(), text.matches('\n').count());
    }

    #[test]
    fn a_token_never_survives(before in "[a-z \n=:\"']{0,30}", after in "[ \n\"';)]{1,10}") {
        let token = format!("ghp_{}", noise(36));
        let (redacted, _) = run("a.txt", &format!("{before} {token}{after}"));
        prop_assert!(!redacted.contains(&token[4..20]));
    }
}
