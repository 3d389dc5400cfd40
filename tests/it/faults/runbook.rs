//! The runbooks that are driven: a short one, and the one that dbctl carries.

/// Every class of step, on production alone, with bakes of a second or two.
pub const SHORT: &str = r#"# Short

## Rollout steps

### Canary

```toml step
id    = "announce"
kind  = "command"
phase = "canary"
env   = "production"
run   = ["sh", "-c", "sleep 0.1; echo announce >> done"]
probe = ["grep", "-qx", "announce", "done"]
```

```toml step
id    = "migrate"
kind  = "migrate"
phase = "canary"
env   = "production"
```

```toml step
id    = "keys"
kind  = "keys"
phase = "canary"
env   = "production"
```

```toml step
id    = "exchange"
kind  = "carry"
phase = "canary"
env   = "production"
```

```toml step
id    = "switch-canary"
kind  = "toggles"
phase = "canary"
env   = "production"
on    = ["canary"]
set   = "postgres"
```

```toml step
id     = "smoke-canary"
kind   = "smoke"
phase  = "canary"
env    = "production"
on     = ["canary"]
checks = ["verify-token", "nonce"]
```

```toml step
id    = "bake-canary"
kind  = "bake"
phase = "canary"
env   = "production"
on    = ["canary"]
for   = "1s"
gates = ["auth-errors"]
```

```toml gate
id          = "auth-errors"
measure     = { ratio = { bad = 'auth_requests_total{outcome="error"}', total = "auth_requests_total" } }
max         = 0.5
interval    = "200ms"
window      = "500ms"
min_samples = 1
failure_limit = 10
error_limit = 20
```

### Full

```toml step
id    = "switch-all"
kind  = "toggles"
phase = "full"
env   = "production"
set   = "postgres"
```

```toml step
id    = "bake-all"
kind  = "bake"
phase = "full"
env   = "production"
for   = "1s"
gates = ["auth-errors"]
```

```toml step
id    = "celebrate"
kind  = "command"
phase = "full"
env   = "production"
run   = ["sh", "-c", "sleep 0.1; echo celebrate >> done"]
probe = ["grep", "-qx", "celebrate", "done"]
```

## Rollback plan

### Triggers

```toml trigger
id         = "auth-failures"
measure    = { ratio = { bad = 'auth_requests_total{outcome="error"}', total = "auth_requests_total" } }
above      = 0.6
interval   = "200ms"
window     = "2s"
on_trigger = "rollback"
```

### Sequence

```toml step
id      = "switch-back"
part    = "rollback"
kind    = "toggles"
set     = "local"
restart = false
```

```toml step
id   = "restart-back"
part = "rollback"
kind = "restart"
```

```toml step
id      = "recover"
part    = "rollback"
kind    = "recover"
timeout = "30s"
```

### Afterwards

```toml step
id   = "bring-home"
part = "afterwards"
kind = "carry"
```

```toml step
id   = "check-integrity"
part = "afterwards"
kind = "integrity"
env  = "production"
```

```toml step
id    = "report"
part  = "afterwards"
kind  = "command"
env   = "production"
run   = ["sh", "-c", "sleep 0.1; echo report >> done"]
probe = ["grep", "-qx", "report", "done"]
```

## Completion criteria

```toml criterion
id    = "enabled"
proof = "modes"
env   = "production"
set   = "postgres"
```
"#;

/// Staging alone: as the canary of the short one, and then back and forward again (step 8).
pub fn staging() -> String {
    let (canary, rest) = SHORT.split_once("### Full\n").expect("a phase");
    let (_, back) = rest.split_once("## Rollback plan\n").expect("a rollback");
    let rehearse = "```toml step\nid    = \"rehearse\"\nkind  = \"rehearse\"\nphase = \"rehearsal\"\n\
                    env   = \"production\"\n```\n\n";
    let text = format!("{canary}{rehearse}## Rollback plan\n{back}");
    let lines = text
        .lines()
        .filter(|line| !line.ends_with("= [\"canary\"]"));
    let text: Vec<&str> = lines.collect();
    let text = text.join("\n") + "\n";
    text.replace("\"production\"", "\"staging\"")
        .replace("\"canary\"", "\"staging\"")
}

/// The one that dbctl carries. Where it asks a person, a program leaves a line instead, so that
/// it can be driven without one and what happened can be counted.
pub fn whole() -> String {
    let text = include_str!("../../../runbooks/phase-1-postgres-cutover.md");
    let mut lines: Vec<String> = Vec::new();
    let mut id = String::new();
    for line in text.lines() {
        if let Some(named) = line.strip_prefix("id ") {
            id = named
                .trim_matches(|c| c == ' ' || c == '=' || c == '"')
                .to_owned();
        }
        match line
            .split_once('=')
            .map(|(key, value)| (key.trim(), value.trim()))
        {
            Some(("kind", "\"confirm\"")) => {
                lines.push("kind = \"command\"".into());
                lines.push(format!(
                    "run = [\"sh\", \"-c\", \"sleep 0.1; echo {id} >> done\"]"
                ));
                lines.push(format!("probe = [\"grep\", \"-qx\", \"{id}\", \"done\"]"));
            }
            Some(("question", _)) => {}
            _ => lines.push(line.to_owned()),
        }
    }
    lines.join("\n") + "\n"
}
