
using namespace System.Management.Automation
using namespace System.Management.Automation.Language

Register-ArgumentCompleter -Native -CommandName 'dbctl' -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)

    $commandElements = $commandAst.CommandElements
    $command = @(
        'dbctl'
        for ($i = 1; $i -lt $commandElements.Count; $i++) {
            $element = $commandElements[$i]
            if ($element -isnot [StringConstantExpressionAst] -or
                $element.StringConstantType -ne [StringConstantType]::BareWord -or
                $element.Value.StartsWith('-') -or
                $element.Value -eq $wordToComplete) {
                break
        }
        $element.Value
    }) -join ';'

    $completions = @(switch ($command) {
        'dbctl' {
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Settings file')
            [CompletionResult]::new('--env', '--env', [CompletionResultType]::ParameterName, 'Environment of the settings file, such as staging or production')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)')
            [CompletionResult]::new('--password-file', '--password-file', [CompletionResultType]::ParameterName, 'File with the database password on its first line; refused when others can read it')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Output for people or for programs; stdout is data, stderr is status')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colour on a terminal')
            [CompletionResult]::new('--no-input', '--no-input', [CompletionResultType]::ParameterName, 'Never prompt; what would need an answer is an error that names the flag')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('init', 'init', [CompletionResultType]::ParameterValue, 'Write a commented dbctl.toml, a runbook to fill in and a migrations folder')
            [CompletionResult]::new('migrate', 'migrate', [CompletionResultType]::ParameterValue, 'Create, list, validate and apply migrations')
            [CompletionResult]::new('preflight', 'preflight', [CompletionResultType]::ParameterValue, 'Check the preconditions of a rollout, each with evidence')
            [CompletionResult]::new('keys', 'keys', [CompletionResultType]::ParameterValue, 'Seed, list and export signing keys')
            [CompletionResult]::new('toggles', 'toggles', [CompletionResultType]::ParameterValue, 'Show and set the four runtime toggles on targets')
            [CompletionResult]::new('smoke', 'smoke', [CompletionResultType]::ParameterValue, 'Check the running service over HTTP')
            [CompletionResult]::new('verify', 'verify', [CompletionResultType]::ParameterValue, 'Run the verification queries of a runbook, read-only')
            [CompletionResult]::new('runbook', 'runbook', [CompletionResultType]::ParameterValue, 'Check and list runbooks')
            [CompletionResult]::new('rollout', 'rollout', [CompletionResultType]::ParameterValue, 'Drive a runbook: plan, start, approve, pause, roll back')
            [CompletionResult]::new('service', 'service', [CompletionResultType]::ParameterValue, 'Run the reference service')
            [CompletionResult]::new('demo', 'demo', [CompletionResultType]::ParameterValue, 'Watch a real service move onto Postgres, break and come back; needs nothing installed')
            [CompletionResult]::new('completions', 'completions', [CompletionResultType]::ParameterValue, 'Print a shell''s completion script')
            [CompletionResult]::new('man', 'man', [CompletionResultType]::ParameterValue, 'Write the manual pages')
            break
        }
        'dbctl;init' {
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Settings file')
            [CompletionResult]::new('--env', '--env', [CompletionResultType]::ParameterName, 'Environment of the settings file, such as staging or production')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)')
            [CompletionResult]::new('--password-file', '--password-file', [CompletionResultType]::ParameterName, 'File with the database password on its first line; refused when others can read it')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Output for people or for programs; stdout is data, stderr is status')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colour on a terminal')
            [CompletionResult]::new('--no-input', '--no-input', [CompletionResultType]::ParameterName, 'Never prompt; what would need an answer is an error that names the flag')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'dbctl;migrate' {
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Settings file')
            [CompletionResult]::new('--env', '--env', [CompletionResultType]::ParameterName, 'Environment of the settings file, such as staging or production')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)')
            [CompletionResult]::new('--password-file', '--password-file', [CompletionResultType]::ParameterName, 'File with the database password on its first line; refused when others can read it')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Output for people or for programs; stdout is data, stderr is status')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colour on a terminal')
            [CompletionResult]::new('--no-input', '--no-input', [CompletionResultType]::ParameterName, 'Never prompt; what would need an answer is an error that names the flag')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('new', 'new', [CompletionResultType]::ParameterValue, 'Create a migration file with the next number')
            [CompletionResult]::new('list', 'list', [CompletionResultType]::ParameterValue, 'Show which migrations are pending, applied, missing or divergent')
            [CompletionResult]::new('validate', 'validate', [CompletionResultType]::ParameterValue, 'Check the files and run them all on a scratch database')
            [CompletionResult]::new('apply', 'apply', [CompletionResultType]::ParameterValue, 'Apply what is pending')
            break
        }
        'dbctl;migrate;new' {
            [CompletionResult]::new('--dir', '--dir', [CompletionResultType]::ParameterName, 'Folder to create it in [default: migrations.dir of the settings, else migrations]')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Settings file')
            [CompletionResult]::new('--env', '--env', [CompletionResultType]::ParameterName, 'Environment of the settings file, such as staging or production')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)')
            [CompletionResult]::new('--password-file', '--password-file', [CompletionResultType]::ParameterName, 'File with the database password on its first line; refused when others can read it')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Output for people or for programs; stdout is data, stderr is status')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colour on a terminal')
            [CompletionResult]::new('--no-input', '--no-input', [CompletionResultType]::ParameterName, 'Never prompt; what would need an answer is an error that names the flag')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'dbctl;migrate;list' {
            [CompletionResult]::new('--dir', '--dir', [CompletionResultType]::ParameterName, 'Folder of migrations [default: migrations.dir of the settings, else those in dbctl]')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Settings file')
            [CompletionResult]::new('--env', '--env', [CompletionResultType]::ParameterName, 'Environment of the settings file, such as staging or production')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)')
            [CompletionResult]::new('--password-file', '--password-file', [CompletionResultType]::ParameterName, 'File with the database password on its first line; refused when others can read it')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Output for people or for programs; stdout is data, stderr is status')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colour on a terminal')
            [CompletionResult]::new('--no-input', '--no-input', [CompletionResultType]::ParameterName, 'Never prompt; what would need an answer is an error that names the flag')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'dbctl;migrate;validate' {
            [CompletionResult]::new('--dir', '--dir', [CompletionResultType]::ParameterName, 'Folder of migrations [default: migrations.dir of the settings, else those in dbctl]')
            [CompletionResult]::new('--scratch', '--scratch', [CompletionResultType]::ParameterName, 'Where to run them: auto, embedded, native, or the URL of a server')
            [CompletionResult]::new('--pg-bin', '--pg-bin', [CompletionResultType]::ParameterName, 'Folder with initdb and postgres, for a native scratch database')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Settings file')
            [CompletionResult]::new('--env', '--env', [CompletionResultType]::ParameterName, 'Environment of the settings file, such as staging or production')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)')
            [CompletionResult]::new('--password-file', '--password-file', [CompletionResultType]::ParameterName, 'File with the database password on its first line; refused when others can read it')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Output for people or for programs; stdout is data, stderr is status')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colour on a terminal')
            [CompletionResult]::new('--no-input', '--no-input', [CompletionResultType]::ParameterName, 'Never prompt; what would need an answer is an error that names the flag')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'dbctl;migrate;apply' {
            [CompletionResult]::new('--dir', '--dir', [CompletionResultType]::ParameterName, 'Folder of migrations [default: migrations.dir of the settings, else those in dbctl]')
            [CompletionResult]::new('--lock-timeout', '--lock-timeout', [CompletionResultType]::ParameterName, 'How long a statement may wait for a lock before it gives way and tries again')
            [CompletionResult]::new('--confirm', '--confirm', [CompletionResultType]::ParameterName, 'Name of the environment (without one: of the database), instead of typing it')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Settings file')
            [CompletionResult]::new('--env', '--env', [CompletionResultType]::ParameterName, 'Environment of the settings file, such as staging or production')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)')
            [CompletionResult]::new('--password-file', '--password-file', [CompletionResultType]::ParameterName, 'File with the database password on its first line; refused when others can read it')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Output for people or for programs; stdout is data, stderr is status')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colour on a terminal')
            [CompletionResult]::new('--no-input', '--no-input', [CompletionResultType]::ParameterName, 'Never prompt; what would need an answer is an error that names the flag')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'dbctl;preflight' {
            [CompletionResult]::new('--expect', '--expect', [CompletionResultType]::ParameterName, 'Where the toggles should be')
            [CompletionResult]::new('--scratch', '--scratch', [CompletionResultType]::ParameterName, 'Where to run the migrations: auto, embedded, native, or the URL of a server')
            [CompletionResult]::new('--pg-bin', '--pg-bin', [CompletionResultType]::ParameterName, 'Folder with initdb and postgres, for a native scratch database')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Settings file')
            [CompletionResult]::new('--env', '--env', [CompletionResultType]::ParameterName, 'Environment of the settings file, such as staging or production')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)')
            [CompletionResult]::new('--password-file', '--password-file', [CompletionResultType]::ParameterName, 'File with the database password on its first line; refused when others can read it')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Output for people or for programs; stdout is data, stderr is status')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colour on a terminal')
            [CompletionResult]::new('--no-input', '--no-input', [CompletionResultType]::ParameterName, 'Never prompt; what would need an answer is an error that names the flag')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'dbctl;keys' {
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Settings file')
            [CompletionResult]::new('--env', '--env', [CompletionResultType]::ParameterName, 'Environment of the settings file, such as staging or production')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)')
            [CompletionResult]::new('--password-file', '--password-file', [CompletionResultType]::ParameterName, 'File with the database password on its first line; refused when others can read it')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Output for people or for programs; stdout is data, stderr is status')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colour on a terminal')
            [CompletionResult]::new('--no-input', '--no-input', [CompletionResultType]::ParameterName, 'Never prompt; what would need an answer is an error that names the flag')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('seed', 'seed', [CompletionResultType]::ParameterValue, 'Make the first version of the signing key; seeding twice changes nothing')
            [CompletionResult]::new('list', 'list', [CompletionResultType]::ParameterValue, 'List the versions of signing keys, without any key material')
            [CompletionResult]::new('export', 'export', [CompletionResultType]::ParameterValue, 'Export the public keys that verifiers should trust')
            [CompletionResult]::new('new-kek', 'new-kek', [CompletionResultType]::ParameterValue, 'Write a new random key-encryption key to a file; never overwrites')
            break
        }
        'dbctl;keys;seed' {
            [CompletionResult]::new('--key-id', '--key-id', [CompletionResultType]::ParameterName, 'Name of the logical key; `keys.key_id` of the settings without it')
            [CompletionResult]::new('--algorithm', '--algorithm', [CompletionResultType]::ParameterName, 'EdDSA or ES256; `keys.algorithm` of the settings without it')
            [CompletionResult]::new('--kek-file', '--kek-file', [CompletionResultType]::ParameterName, 'File with the key-encryption key; `kek_file` or `kek_command` of the environment without it')
            [CompletionResult]::new('--trust', '--trust', [CompletionResultType]::ParameterName, 'Public keys to record beside it, as a JWKS file: those of the instances that still sign without Postgres (their /.well-known/jwks.json)')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Settings file')
            [CompletionResult]::new('--env', '--env', [CompletionResultType]::ParameterName, 'Environment of the settings file, such as staging or production')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)')
            [CompletionResult]::new('--password-file', '--password-file', [CompletionResultType]::ParameterName, 'File with the database password on its first line; refused when others can read it')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Output for people or for programs; stdout is data, stderr is status')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colour on a terminal')
            [CompletionResult]::new('--no-input', '--no-input', [CompletionResultType]::ParameterName, 'Never prompt; what would need an answer is an error that names the flag')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'dbctl;keys;list' {
            [CompletionResult]::new('--key-id', '--key-id', [CompletionResultType]::ParameterName, 'Only the versions of this logical key')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Settings file')
            [CompletionResult]::new('--env', '--env', [CompletionResultType]::ParameterName, 'Environment of the settings file, such as staging or production')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)')
            [CompletionResult]::new('--password-file', '--password-file', [CompletionResultType]::ParameterName, 'File with the database password on its first line; refused when others can read it')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Output for people or for programs; stdout is data, stderr is status')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colour on a terminal')
            [CompletionResult]::new('--no-input', '--no-input', [CompletionResultType]::ParameterName, 'Never prompt; what would need an answer is an error that names the flag')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'dbctl;keys;export' {
            [CompletionResult]::new('--out', '--out', [CompletionResultType]::ParameterName, 'File to write instead of standard output')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Settings file')
            [CompletionResult]::new('--env', '--env', [CompletionResultType]::ParameterName, 'Environment of the settings file, such as staging or production')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)')
            [CompletionResult]::new('--password-file', '--password-file', [CompletionResultType]::ParameterName, 'File with the database password on its first line; refused when others can read it')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Output for people or for programs; stdout is data, stderr is status')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colour on a terminal')
            [CompletionResult]::new('--jwks', '--jwks', [CompletionResultType]::ParameterName, 'As a JSON Web Key Set (RFC 7517): every version that verifies')
            [CompletionResult]::new('--no-input', '--no-input', [CompletionResultType]::ParameterName, 'Never prompt; what would need an answer is an error that names the flag')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'dbctl;keys;new-kek' {
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Settings file')
            [CompletionResult]::new('--env', '--env', [CompletionResultType]::ParameterName, 'Environment of the settings file, such as staging or production')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)')
            [CompletionResult]::new('--password-file', '--password-file', [CompletionResultType]::ParameterName, 'File with the database password on its first line; refused when others can read it')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Output for people or for programs; stdout is data, stderr is status')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colour on a terminal')
            [CompletionResult]::new('--no-input', '--no-input', [CompletionResultType]::ParameterName, 'Never prompt; what would need an answer is an error that names the flag')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'dbctl;toggles' {
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Settings file')
            [CompletionResult]::new('--env', '--env', [CompletionResultType]::ParameterName, 'Environment of the settings file, such as staging or production')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)')
            [CompletionResult]::new('--password-file', '--password-file', [CompletionResultType]::ParameterName, 'File with the database password on its first line; refused when others can read it')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Output for people or for programs; stdout is data, stderr is status')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colour on a terminal')
            [CompletionResult]::new('--no-input', '--no-input', [CompletionResultType]::ParameterName, 'Never prompt; what would need an answer is an error that names the flag')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('show', 'show', [CompletionResultType]::ParameterValue, 'Show what each target''s file says, and what its service says')
            [CompletionResult]::new('set', 'set', [CompletionResultType]::ParameterValue, 'Set toggles, restart, and have each target confirm; its state is carried over')
            break
        }
        'dbctl;toggles;show' {
            [CompletionResult]::new('--on', '--on', [CompletionResultType]::ParameterName, 'Target or group to show; all targets without it. May be repeated')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Settings file')
            [CompletionResult]::new('--env', '--env', [CompletionResultType]::ParameterName, 'Environment of the settings file, such as staging or production')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)')
            [CompletionResult]::new('--password-file', '--password-file', [CompletionResultType]::ParameterName, 'File with the database password on its first line; refused when others can read it')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Output for people or for programs; stdout is data, stderr is status')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colour on a terminal')
            [CompletionResult]::new('--no-input', '--no-input', [CompletionResultType]::ParameterName, 'Never prompt; what would need an answer is an error that names the flag')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'dbctl;toggles;set' {
            [CompletionResult]::new('--on', '--on', [CompletionResultType]::ParameterName, 'Target or group to set them on; all targets without it. May be repeated')
            [CompletionResult]::new('--confirm', '--confirm', [CompletionResultType]::ParameterName, 'The environment''s name, instead of typing it')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Settings file')
            [CompletionResult]::new('--env', '--env', [CompletionResultType]::ParameterName, 'Environment of the settings file, such as staging or production')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)')
            [CompletionResult]::new('--password-file', '--password-file', [CompletionResultType]::ParameterName, 'File with the database password on its first line; refused when others can read it')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Output for people or for programs; stdout is data, stderr is status')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colour on a terminal')
            [CompletionResult]::new('--no-restart', '--no-restart', [CompletionResultType]::ParameterName, 'Change the files only; the next restart switches, without carry-over')
            [CompletionResult]::new('--no-carry', '--no-carry', [CompletionResultType]::ParameterName, 'Do not carry state over: revoked tokens are accepted again on the other side')
            [CompletionResult]::new('--no-input', '--no-input', [CompletionResultType]::ParameterName, 'Never prompt; what would need an answer is an error that names the flag')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'dbctl;smoke' {
            [CompletionResult]::new('--on', '--on', [CompletionResultType]::ParameterName, 'Target or group to check; all targets without it. May be repeated')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Settings file')
            [CompletionResult]::new('--env', '--env', [CompletionResultType]::ParameterName, 'Environment of the settings file, such as staging or production')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)')
            [CompletionResult]::new('--password-file', '--password-file', [CompletionResultType]::ParameterName, 'File with the database password on its first line; refused when others can read it')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Output for people or for programs; stdout is data, stderr is status')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colour on a terminal')
            [CompletionResult]::new('--no-input', '--no-input', [CompletionResultType]::ParameterName, 'Never prompt; what would need an answer is an error that names the flag')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'dbctl;verify' {
            [CompletionResult]::new('--runbook', '--runbook', [CompletionResultType]::ParameterName, 'Markdown file with the queries')
            [CompletionResult]::new('--timeout', '--timeout', [CompletionResultType]::ParameterName, 'The longest time that a statement may take')
            [CompletionResult]::new('--max-rows', '--max-rows', [CompletionResultType]::ParameterName, 'Show at most so many rows of a query; expectations see all of them [default: 1000, as CSV all]')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Settings file')
            [CompletionResult]::new('--env', '--env', [CompletionResultType]::ParameterName, 'Environment of the settings file, such as staging or production')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)')
            [CompletionResult]::new('--password-file', '--password-file', [CompletionResultType]::ParameterName, 'File with the database password on its first line; refused when others can read it')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Output for people or for programs; stdout is data, stderr is status')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colour on a terminal')
            [CompletionResult]::new('--csv', '--csv', [CompletionResultType]::ParameterName, 'Write the rows of one query as CSV; NULL is an empty field, an empty text is ""')
            [CompletionResult]::new('--no-input', '--no-input', [CompletionResultType]::ParameterName, 'Never prompt; what would need an answer is an error that names the flag')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'dbctl;runbook' {
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Settings file')
            [CompletionResult]::new('--env', '--env', [CompletionResultType]::ParameterName, 'Environment of the settings file, such as staging or production')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)')
            [CompletionResult]::new('--password-file', '--password-file', [CompletionResultType]::ParameterName, 'File with the database password on its first line; refused when others can read it')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Output for people or for programs; stdout is data, stderr is status')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colour on a terminal')
            [CompletionResult]::new('--no-input', '--no-input', [CompletionResultType]::ParameterName, 'Never prompt; what would need an answer is an error that names the flag')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('check', 'check', [CompletionResultType]::ParameterValue, 'Read a runbook; show what it binds, or every mistake with line and column')
            [CompletionResult]::new('list', 'list', [CompletionResultType]::ParameterValue, 'List the runbooks of a folder and the one that dbctl carries')
            break
        }
        'dbctl;runbook;check' {
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Settings file')
            [CompletionResult]::new('--env', '--env', [CompletionResultType]::ParameterName, 'Environment of the settings file, such as staging or production')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)')
            [CompletionResult]::new('--password-file', '--password-file', [CompletionResultType]::ParameterName, 'File with the database password on its first line; refused when others can read it')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Output for people or for programs; stdout is data, stderr is status')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colour on a terminal')
            [CompletionResult]::new('--no-input', '--no-input', [CompletionResultType]::ParameterName, 'Never prompt; what would need an answer is an error that names the flag')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'dbctl;runbook;list' {
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Settings file')
            [CompletionResult]::new('--env', '--env', [CompletionResultType]::ParameterName, 'Environment of the settings file, such as staging or production')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)')
            [CompletionResult]::new('--password-file', '--password-file', [CompletionResultType]::ParameterName, 'File with the database password on its first line; refused when others can read it')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Output for people or for programs; stdout is data, stderr is status')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colour on a terminal')
            [CompletionResult]::new('--no-input', '--no-input', [CompletionResultType]::ParameterName, 'Never prompt; what would need an answer is an error that names the flag')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'dbctl;rollout' {
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Settings file')
            [CompletionResult]::new('--env', '--env', [CompletionResultType]::ParameterName, 'Environment of the settings file, such as staging or production')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)')
            [CompletionResult]::new('--password-file', '--password-file', [CompletionResultType]::ParameterName, 'File with the database password on its first line; refused when others can read it')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Output for people or for programs; stdout is data, stderr is status')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colour on a terminal')
            [CompletionResult]::new('--no-input', '--no-input', [CompletionResultType]::ParameterName, 'Never prompt; what would need an answer is an error that names the flag')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('plan', 'plan', [CompletionResultType]::ParameterValue, 'Show what would be done, to which targets, in which order, and how it is undone')
            [CompletionResult]::new('start', 'start', [CompletionResultType]::ParameterValue, 'Begin a run and drive it')
            [CompletionResult]::new('status', 'status', [CompletionResultType]::ParameterValue, 'Show where a run stands and what may be done now; needs neither Postgres nor the service')
            [CompletionResult]::new('resume', 'resume', [CompletionResultType]::ParameterValue, 'Drive a run on: after a pause, a Ctrl-C, a crash, or what is due after a rollback')
            [CompletionResult]::new('run', 'run', [CompletionResultType]::ParameterValue, 'Begin a run, or drive the open one on, and never ask: for pipelines')
            [CompletionResult]::new('wait', 'wait', [CompletionResultType]::ParameterValue, 'Wait until a run stands where nothing happens by itself; drives nothing')
            [CompletionResult]::new('takeover', 'takeover', [CompletionResultType]::ParameterValue, 'Drive a run from here that somebody else drives, and fence them')
            [CompletionResult]::new('approve', 'approve', [CompletionResultType]::ParameterValue, 'Let the run enter the phase that it waits for, or say yes to the step that asks')
            [CompletionResult]::new('reject', 'reject', [CompletionResultType]::ParameterValue, 'Say no to what the run waits for; it is paused, and everything stays as it is')
            [CompletionResult]::new('pause', 'pause', [CompletionResultType]::ParameterValue, 'Stop advancing and keep everything as it is')
            [CompletionResult]::new('freeze', 'freeze', [CompletionResultType]::ParameterValue, 'Stop advancing and keep everything as it is')
            [CompletionResult]::new('note', 'note', [CompletionResultType]::ParameterValue, 'Leave a note in the journal for whoever drives next')
            [CompletionResult]::new('replan', 'replan', [CompletionResultType]::ParameterValue, 'Have the run follow the runbook as it is now: shows what differs, and asks')
            [CompletionResult]::new('abort', 'abort', [CompletionResultType]::ParameterValue, 'End a run before anything was switched')
            [CompletionResult]::new('rollback', 'rollback', [CompletionResultType]::ParameterValue, 'Go back to memory/file on every target that the run switched; asks nothing')
            [CompletionResult]::new('merge', 'merge', [CompletionResultType]::ParameterValue, 'Bring what a rollback without the journal (--break-glass) did into the journal')
            [CompletionResult]::new('log', 'log', [CompletionResultType]::ParameterValue, 'Show a run''s journal and check its hash chain')
            [CompletionResult]::new('hooks', 'hooks', [CompletionResultType]::ParameterValue, 'Try out the hooks: programs and servers that are told what happens in a run')
            break
        }
        'dbctl;rollout;plan' {
            [CompletionResult]::new('--runbook', '--runbook', [CompletionResultType]::ParameterName, 'The runbook; without it `runbook.path` of the settings, else the one that dbctl carries')
            [CompletionResult]::new('--shorten-bakes', '--shorten-bakes', [CompletionResultType]::ParameterName, 'Shorten every bake to this; the plan says so wherever it is shown')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Settings file')
            [CompletionResult]::new('--env', '--env', [CompletionResultType]::ParameterName, 'Environment of the settings file, such as staging or production')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)')
            [CompletionResult]::new('--password-file', '--password-file', [CompletionResultType]::ParameterName, 'File with the database password on its first line; refused when others can read it')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Output for people or for programs; stdout is data, stderr is status')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colour on a terminal')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Also make every check and ask every probe now, and have no effect at all')
            [CompletionResult]::new('--no-input', '--no-input', [CompletionResultType]::ParameterName, 'Never prompt; what would need an answer is an error that names the flag')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'dbctl;rollout;start' {
            [CompletionResult]::new('--runbook', '--runbook', [CompletionResultType]::ParameterName, 'The runbook; without it `runbook.path` of the settings, else the one that dbctl carries')
            [CompletionResult]::new('--shorten-bakes', '--shorten-bakes', [CompletionResultType]::ParameterName, 'Shorten every bake to this; the plan says so wherever it is shown')
            [CompletionResult]::new('--as', '--as', [CompletionResultType]::ParameterName, 'Who you say you are: recorded as a claim, beside who the journal knows you to be')
            [CompletionResult]::new('--confirm', '--confirm', [CompletionResultType]::ParameterName, 'Approve the first phase by its environment''s name, instead of typing it')
            [CompletionResult]::new('--waive', '--waive', [CompletionResultType]::ParameterName, 'Begin although the steps after the rollback of RUN were not done; names that run')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Settings file')
            [CompletionResult]::new('--env', '--env', [CompletionResultType]::ParameterName, 'Environment of the settings file, such as staging or production')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)')
            [CompletionResult]::new('--password-file', '--password-file', [CompletionResultType]::ParameterName, 'File with the database password on its first line; refused when others can read it')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Output for people or for programs; stdout is data, stderr is status')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colour on a terminal')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Make every check and ask every probe now, say what the run would do, and do nothing')
            [CompletionResult]::new('--no-input', '--no-input', [CompletionResultType]::ParameterName, 'Never prompt; what would need an answer is an error that names the flag')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'dbctl;rollout;status' {
            [CompletionResult]::new('--run', '--run', [CompletionResultType]::ParameterName, 'The run; without it the one under way, else the newest')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Settings file')
            [CompletionResult]::new('--env', '--env', [CompletionResultType]::ParameterName, 'Environment of the settings file, such as staging or production')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)')
            [CompletionResult]::new('--password-file', '--password-file', [CompletionResultType]::ParameterName, 'File with the database password on its first line; refused when others can read it')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Output for people or for programs; stdout is data, stderr is status')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colour on a terminal')
            [CompletionResult]::new('--no-input', '--no-input', [CompletionResultType]::ParameterName, 'Never prompt; what would need an answer is an error that names the flag')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'dbctl;rollout;resume' {
            [CompletionResult]::new('--run', '--run', [CompletionResultType]::ParameterName, 'The run; without it the one under way, else the newest')
            [CompletionResult]::new('--accept-world', '--accept-world', [CompletionResultType]::ParameterName, 'Go on although the world is not as the journal says; the run''s id')
            [CompletionResult]::new('--as', '--as', [CompletionResultType]::ParameterName, 'Who you say you are: recorded as a claim, beside who the journal knows you to be')
            [CompletionResult]::new('--confirm', '--confirm', [CompletionResultType]::ParameterName, 'Approve the phase that the run waits for by its environment''s name, instead of typing it')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Settings file')
            [CompletionResult]::new('--env', '--env', [CompletionResultType]::ParameterName, 'Environment of the settings file, such as staging or production')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)')
            [CompletionResult]::new('--password-file', '--password-file', [CompletionResultType]::ParameterName, 'File with the database password on its first line; refused when others can read it')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Output for people or for programs; stdout is data, stderr is status')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colour on a terminal')
            [CompletionResult]::new('--no-input', '--no-input', [CompletionResultType]::ParameterName, 'Never prompt; what would need an answer is an error that names the flag')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'dbctl;rollout;run' {
            [CompletionResult]::new('--until', '--until', [CompletionResultType]::ParameterName, 'How far: until every step of a phase is finished, until a person is wanted, to the end')
            [CompletionResult]::new('--runbook', '--runbook', [CompletionResultType]::ParameterName, 'The runbook; without it `runbook.path` of the settings, else the one that dbctl carries')
            [CompletionResult]::new('--shorten-bakes', '--shorten-bakes', [CompletionResultType]::ParameterName, 'Shorten every bake to this; the plan says so wherever it is shown')
            [CompletionResult]::new('--accept-world', '--accept-world', [CompletionResultType]::ParameterName, 'Go on although the world is not as the journal says; the run''s id')
            [CompletionResult]::new('--as', '--as', [CompletionResultType]::ParameterName, 'Who you say you are: recorded as a claim, beside who the journal knows you to be')
            [CompletionResult]::new('--confirm', '--confirm', [CompletionResultType]::ParameterName, 'Approve one phase, the first that is asked for, by its environment''s name')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Settings file')
            [CompletionResult]::new('--env', '--env', [CompletionResultType]::ParameterName, 'Environment of the settings file, such as staging or production')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)')
            [CompletionResult]::new('--password-file', '--password-file', [CompletionResultType]::ParameterName, 'File with the database password on its first line; refused when others can read it')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Output for people or for programs; stdout is data, stderr is status')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colour on a terminal')
            [CompletionResult]::new('--no-input', '--no-input', [CompletionResultType]::ParameterName, 'Never prompt; what would need an answer is an error that names the flag')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'dbctl;rollout;wait' {
            [CompletionResult]::new('--run', '--run', [CompletionResultType]::ParameterName, 'The run; without it the one under way, else the newest')
            [CompletionResult]::new('--until', '--until', [CompletionResultType]::ParameterName, 'How far: until every step of a phase is finished, until a person is wanted, until it is completed, until it has ended in whichever way')
            [CompletionResult]::new('--timeout', '--timeout', [CompletionResultType]::ParameterName, 'Give up after this')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Settings file')
            [CompletionResult]::new('--env', '--env', [CompletionResultType]::ParameterName, 'Environment of the settings file, such as staging or production')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)')
            [CompletionResult]::new('--password-file', '--password-file', [CompletionResultType]::ParameterName, 'File with the database password on its first line; refused when others can read it')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Output for people or for programs; stdout is data, stderr is status')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colour on a terminal')
            [CompletionResult]::new('--no-input', '--no-input', [CompletionResultType]::ParameterName, 'Never prompt; what would need an answer is an error that names the flag')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'dbctl;rollout;takeover' {
            [CompletionResult]::new('--run', '--run', [CompletionResultType]::ParameterName, 'The run; without it the one under way, else the newest')
            [CompletionResult]::new('--accept-world', '--accept-world', [CompletionResultType]::ParameterName, 'Go on although the world is not as the journal says; the run''s id')
            [CompletionResult]::new('--as', '--as', [CompletionResultType]::ParameterName, 'Who you say you are: recorded as a claim, beside who the journal knows you to be')
            [CompletionResult]::new('--confirm', '--confirm', [CompletionResultType]::ParameterName, 'The run''s id, instead of typing it')
            [CompletionResult]::new('--note', '--note', [CompletionResultType]::ParameterName, 'A note for the journal: why, and what was handed over')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Settings file')
            [CompletionResult]::new('--env', '--env', [CompletionResultType]::ParameterName, 'Environment of the settings file, such as staging or production')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)')
            [CompletionResult]::new('--password-file', '--password-file', [CompletionResultType]::ParameterName, 'File with the database password on its first line; refused when others can read it')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Output for people or for programs; stdout is data, stderr is status')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colour on a terminal')
            [CompletionResult]::new('--no-input', '--no-input', [CompletionResultType]::ParameterName, 'Never prompt; what would need an answer is an error that names the flag')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'dbctl;rollout;approve' {
            [CompletionResult]::new('--run', '--run', [CompletionResultType]::ParameterName, 'The run; without it the one under way, else the newest')
            [CompletionResult]::new('--as', '--as', [CompletionResultType]::ParameterName, 'Who you say you are: recorded as a claim, beside who the journal knows you to be')
            [CompletionResult]::new('--confirm', '--confirm', [CompletionResultType]::ParameterName, 'The name of the phase''s environment, or of the step that asks, instead of typing it')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Settings file')
            [CompletionResult]::new('--env', '--env', [CompletionResultType]::ParameterName, 'Environment of the settings file, such as staging or production')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)')
            [CompletionResult]::new('--password-file', '--password-file', [CompletionResultType]::ParameterName, 'File with the database password on its first line; refused when others can read it')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Output for people or for programs; stdout is data, stderr is status')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colour on a terminal')
            [CompletionResult]::new('--no-input', '--no-input', [CompletionResultType]::ParameterName, 'Never prompt; what would need an answer is an error that names the flag')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'dbctl;rollout;reject' {
            [CompletionResult]::new('--run', '--run', [CompletionResultType]::ParameterName, 'The run; without it the one under way, else the newest')
            [CompletionResult]::new('--as', '--as', [CompletionResultType]::ParameterName, 'Who you say you are: recorded as a claim, beside who the journal knows you to be')
            [CompletionResult]::new('--reason', '--reason', [CompletionResultType]::ParameterName, 'Why, for the journal')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Settings file')
            [CompletionResult]::new('--env', '--env', [CompletionResultType]::ParameterName, 'Environment of the settings file, such as staging or production')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)')
            [CompletionResult]::new('--password-file', '--password-file', [CompletionResultType]::ParameterName, 'File with the database password on its first line; refused when others can read it')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Output for people or for programs; stdout is data, stderr is status')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colour on a terminal')
            [CompletionResult]::new('--no-input', '--no-input', [CompletionResultType]::ParameterName, 'Never prompt; what would need an answer is an error that names the flag')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'dbctl;rollout;pause' {
            [CompletionResult]::new('--run', '--run', [CompletionResultType]::ParameterName, 'The run; without it the one under way, else the newest')
            [CompletionResult]::new('--as', '--as', [CompletionResultType]::ParameterName, 'Who you say you are: recorded as a claim, beside who the journal knows you to be')
            [CompletionResult]::new('--reason', '--reason', [CompletionResultType]::ParameterName, 'Why, for the journal')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Settings file')
            [CompletionResult]::new('--env', '--env', [CompletionResultType]::ParameterName, 'Environment of the settings file, such as staging or production')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)')
            [CompletionResult]::new('--password-file', '--password-file', [CompletionResultType]::ParameterName, 'File with the database password on its first line; refused when others can read it')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Output for people or for programs; stdout is data, stderr is status')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colour on a terminal')
            [CompletionResult]::new('--no-input', '--no-input', [CompletionResultType]::ParameterName, 'Never prompt; what would need an answer is an error that names the flag')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'dbctl;rollout;freeze' {
            [CompletionResult]::new('--run', '--run', [CompletionResultType]::ParameterName, 'The run; without it the one under way, else the newest')
            [CompletionResult]::new('--as', '--as', [CompletionResultType]::ParameterName, 'Who you say you are: recorded as a claim, beside who the journal knows you to be')
            [CompletionResult]::new('--reason', '--reason', [CompletionResultType]::ParameterName, 'Why, for the journal')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Settings file')
            [CompletionResult]::new('--env', '--env', [CompletionResultType]::ParameterName, 'Environment of the settings file, such as staging or production')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)')
            [CompletionResult]::new('--password-file', '--password-file', [CompletionResultType]::ParameterName, 'File with the database password on its first line; refused when others can read it')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Output for people or for programs; stdout is data, stderr is status')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colour on a terminal')
            [CompletionResult]::new('--no-input', '--no-input', [CompletionResultType]::ParameterName, 'Never prompt; what would need an answer is an error that names the flag')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'dbctl;rollout;note' {
            [CompletionResult]::new('--run', '--run', [CompletionResultType]::ParameterName, 'The run; without it the one under way, else the newest')
            [CompletionResult]::new('--as', '--as', [CompletionResultType]::ParameterName, 'Who you say you are: recorded as a claim, beside who the journal knows you to be')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Settings file')
            [CompletionResult]::new('--env', '--env', [CompletionResultType]::ParameterName, 'Environment of the settings file, such as staging or production')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)')
            [CompletionResult]::new('--password-file', '--password-file', [CompletionResultType]::ParameterName, 'File with the database password on its first line; refused when others can read it')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Output for people or for programs; stdout is data, stderr is status')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colour on a terminal')
            [CompletionResult]::new('--no-input', '--no-input', [CompletionResultType]::ParameterName, 'Never prompt; what would need an answer is an error that names the flag')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'dbctl;rollout;replan' {
            [CompletionResult]::new('--run', '--run', [CompletionResultType]::ParameterName, 'The run; without it the one under way, else the newest')
            [CompletionResult]::new('--as', '--as', [CompletionResultType]::ParameterName, 'Who you say you are: recorded as a claim, beside who the journal knows you to be')
            [CompletionResult]::new('--runbook', '--runbook', [CompletionResultType]::ParameterName, 'The runbook; without it `runbook.path` of the settings, else the one that dbctl carries')
            [CompletionResult]::new('--shorten-bakes', '--shorten-bakes', [CompletionResultType]::ParameterName, 'Shorten every bake to this; the plan says so wherever it is shown')
            [CompletionResult]::new('--confirm', '--confirm', [CompletionResultType]::ParameterName, 'The run''s id, instead of typing it')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Settings file')
            [CompletionResult]::new('--env', '--env', [CompletionResultType]::ParameterName, 'Environment of the settings file, such as staging or production')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)')
            [CompletionResult]::new('--password-file', '--password-file', [CompletionResultType]::ParameterName, 'File with the database password on its first line; refused when others can read it')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Output for people or for programs; stdout is data, stderr is status')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colour on a terminal')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Only show what differs, and whether the run could follow it')
            [CompletionResult]::new('--no-input', '--no-input', [CompletionResultType]::ParameterName, 'Never prompt; what would need an answer is an error that names the flag')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'dbctl;rollout;abort' {
            [CompletionResult]::new('--run', '--run', [CompletionResultType]::ParameterName, 'The run; without it the one under way, else the newest')
            [CompletionResult]::new('--as', '--as', [CompletionResultType]::ParameterName, 'Who you say you are: recorded as a claim, beside who the journal knows you to be')
            [CompletionResult]::new('--reason', '--reason', [CompletionResultType]::ParameterName, 'Why, for the journal')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Settings file')
            [CompletionResult]::new('--env', '--env', [CompletionResultType]::ParameterName, 'Environment of the settings file, such as staging or production')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)')
            [CompletionResult]::new('--password-file', '--password-file', [CompletionResultType]::ParameterName, 'File with the database password on its first line; refused when others can read it')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Output for people or for programs; stdout is data, stderr is status')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colour on a terminal')
            [CompletionResult]::new('--no-input', '--no-input', [CompletionResultType]::ParameterName, 'Never prompt; what would need an answer is an error that names the flag')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'dbctl;rollout;rollback' {
            [CompletionResult]::new('--run', '--run', [CompletionResultType]::ParameterName, 'The run; without it the one under way, else the newest')
            [CompletionResult]::new('--as', '--as', [CompletionResultType]::ParameterName, 'Who you say you are: recorded as a claim, beside who the journal knows you to be')
            [CompletionResult]::new('--reason', '--reason', [CompletionResultType]::ParameterName, 'Why, for the journal')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Settings file')
            [CompletionResult]::new('--env', '--env', [CompletionResultType]::ParameterName, 'Environment of the settings file, such as staging or production')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)')
            [CompletionResult]::new('--password-file', '--password-file', [CompletionResultType]::ParameterName, 'File with the database password on its first line; refused when others can read it')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Output for people or for programs; stdout is data, stderr is status')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colour on a terminal')
            [CompletionResult]::new('--break-glass', '--break-glass', [CompletionResultType]::ParameterName, 'Go back while the journal does not answer: from this machine''s mirror of the run, and for an environment named by --env from the settings and the rollback kit')
            [CompletionResult]::new('--no-input', '--no-input', [CompletionResultType]::ParameterName, 'Never prompt; what would need an answer is an error that names the flag')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'dbctl;rollout;merge' {
            [CompletionResult]::new('--as', '--as', [CompletionResultType]::ParameterName, 'Who you say you are: recorded as a claim, beside who the journal knows you to be')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Settings file')
            [CompletionResult]::new('--env', '--env', [CompletionResultType]::ParameterName, 'Environment of the settings file, such as staging or production')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)')
            [CompletionResult]::new('--password-file', '--password-file', [CompletionResultType]::ParameterName, 'File with the database password on its first line; refused when others can read it')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Output for people or for programs; stdout is data, stderr is status')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colour on a terminal')
            [CompletionResult]::new('--no-input', '--no-input', [CompletionResultType]::ParameterName, 'Never prompt; what would need an answer is an error that names the flag')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'dbctl;rollout;log' {
            [CompletionResult]::new('--run', '--run', [CompletionResultType]::ParameterName, 'The run; without it the one under way, else the newest')
            [CompletionResult]::new('--expect-head', '--expect-head', [CompletionResultType]::ParameterName, 'Fail unless the journal holds this entry: SEQ:HASH, as it was printed')
            [CompletionResult]::new('--export', '--export', [CompletionResultType]::ParameterName, 'Write the run''s events to a new file, to be kept and checked elsewhere')
            [CompletionResult]::new('--verify', '--verify', [CompletionResultType]::ParameterName, 'Only say whether the chain is intact; of an exported FILE, on any machine')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Settings file')
            [CompletionResult]::new('--env', '--env', [CompletionResultType]::ParameterName, 'Environment of the settings file, such as staging or production')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)')
            [CompletionResult]::new('--password-file', '--password-file', [CompletionResultType]::ParameterName, 'File with the database password on its first line; refused when others can read it')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Output for people or for programs; stdout is data, stderr is status')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colour on a terminal')
            [CompletionResult]::new('--no-input', '--no-input', [CompletionResultType]::ParameterName, 'Never prompt; what would need an answer is an error that names the flag')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'dbctl;rollout;hooks' {
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Settings file')
            [CompletionResult]::new('--env', '--env', [CompletionResultType]::ParameterName, 'Environment of the settings file, such as staging or production')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)')
            [CompletionResult]::new('--password-file', '--password-file', [CompletionResultType]::ParameterName, 'File with the database password on its first line; refused when others can read it')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Output for people or for programs; stdout is data, stderr is status')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colour on a terminal')
            [CompletionResult]::new('--no-input', '--no-input', [CompletionResultType]::ParameterName, 'Never prompt; what would need an answer is an error that names the flag')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('test', 'test', [CompletionResultType]::ParameterValue, 'Send one sample to each hook of the settings, once, and say what came back')
            break
        }
        'dbctl;rollout;hooks;test' {
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Settings file')
            [CompletionResult]::new('--env', '--env', [CompletionResultType]::ParameterName, 'Environment of the settings file, such as staging or production')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)')
            [CompletionResult]::new('--password-file', '--password-file', [CompletionResultType]::ParameterName, 'File with the database password on its first line; refused when others can read it')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Output for people or for programs; stdout is data, stderr is status')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colour on a terminal')
            [CompletionResult]::new('--no-input', '--no-input', [CompletionResultType]::ParameterName, 'Never prompt; what would need an answer is an error that names the flag')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'dbctl;service' {
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Settings file')
            [CompletionResult]::new('--env', '--env', [CompletionResultType]::ParameterName, 'Environment of the settings file, such as staging or production')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)')
            [CompletionResult]::new('--password-file', '--password-file', [CompletionResultType]::ParameterName, 'File with the database password on its first line; refused when others can read it')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Output for people or for programs; stdout is data, stderr is status')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colour on a terminal')
            [CompletionResult]::new('--no-input', '--no-input', [CompletionResultType]::ParameterName, 'Never prompt; what would need an answer is an error that names the flag')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('run', 'run', [CompletionResultType]::ParameterValue, 'Serve until SIGTERM or Ctrl-C')
            [CompletionResult]::new('init', 'init', [CompletionResultType]::ParameterValue, 'Write what an instance needs: environment file, signing key, admin token, state folder')
            break
        }
        'dbctl;service;run' {
            [CompletionResult]::new('--env-file', '--env-file', [CompletionResultType]::ParameterName, 'File of NAME=value lines; what it says wins over the environment')
            [CompletionResult]::new('--listen', '--listen', [CompletionResultType]::ParameterName, 'Address to serve on instead of SERVICE_LISTEN; port 0 takes a free one')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Settings file')
            [CompletionResult]::new('--env', '--env', [CompletionResultType]::ParameterName, 'Environment of the settings file, such as staging or production')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)')
            [CompletionResult]::new('--password-file', '--password-file', [CompletionResultType]::ParameterName, 'File with the database password on its first line; refused when others can read it')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Output for people or for programs; stdout is data, stderr is status')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colour on a terminal')
            [CompletionResult]::new('--faults', '--faults', [CompletionResultType]::ParameterName, 'Allow POST /v1/faults to break things on purpose (demonstrations and tests)')
            [CompletionResult]::new('--no-input', '--no-input', [CompletionResultType]::ParameterName, 'Never prompt; what would need an answer is an error that names the flag')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'dbctl;service;init' {
            [CompletionResult]::new('--name', '--name', [CompletionResultType]::ParameterName, 'Name of the instance, different from every other''s')
            [CompletionResult]::new('--listen', '--listen', [CompletionResultType]::ParameterName, 'Address that it will serve on')
            [CompletionResult]::new('--signing-key', '--signing-key', [CompletionResultType]::ParameterName, 'Sign with this PKCS#8 PEM key, which other instances have too, instead of a new one')
            [CompletionResult]::new('--admin-token', '--admin-token', [CompletionResultType]::ParameterName, 'Admit whoever knows the token in this file, which other instances have too: dbctl uses one for all targets of an environment')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Settings file')
            [CompletionResult]::new('--env', '--env', [CompletionResultType]::ParameterName, 'Environment of the settings file, such as staging or production')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)')
            [CompletionResult]::new('--password-file', '--password-file', [CompletionResultType]::ParameterName, 'File with the database password on its first line; refused when others can read it')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Output for people or for programs; stdout is data, stderr is status')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colour on a terminal')
            [CompletionResult]::new('--no-input', '--no-input', [CompletionResultType]::ParameterName, 'Never prompt; what would need an answer is an error that names the flag')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'dbctl;demo' {
            [CompletionResult]::new('--dir', '--dir', [CompletionResultType]::ParameterName, 'Empty folder for the settings, the journal and the instances'' files; kept afterwards')
            [CompletionResult]::new('--bake', '--bake', [CompletionResultType]::ParameterName, 'How long a bake lasts')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Settings file')
            [CompletionResult]::new('--env', '--env', [CompletionResultType]::ParameterName, 'Environment of the settings file, such as staging or production')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)')
            [CompletionResult]::new('--password-file', '--password-file', [CompletionResultType]::ParameterName, 'File with the database password on its first line; refused when others can read it')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Output for people or for programs; stdout is data, stderr is status')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colour on a terminal')
            [CompletionResult]::new('--no-input', '--no-input', [CompletionResultType]::ParameterName, 'Never prompt; what would need an answer is an error that names the flag')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'dbctl;completions' {
            [CompletionResult]::new('--dir', '--dir', [CompletionResultType]::ParameterName, 'Write the scripts of all four shells into this folder instead')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Settings file')
            [CompletionResult]::new('--env', '--env', [CompletionResultType]::ParameterName, 'Environment of the settings file, such as staging or production')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)')
            [CompletionResult]::new('--password-file', '--password-file', [CompletionResultType]::ParameterName, 'File with the database password on its first line; refused when others can read it')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Output for people or for programs; stdout is data, stderr is status')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colour on a terminal')
            [CompletionResult]::new('--no-input', '--no-input', [CompletionResultType]::ParameterName, 'Never prompt; what would need an answer is an error that names the flag')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'dbctl;man' {
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Settings file')
            [CompletionResult]::new('--env', '--env', [CompletionResultType]::ParameterName, 'Environment of the settings file, such as staging or production')
            [CompletionResult]::new('--database-url', '--database-url', [CompletionResultType]::ParameterName, 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)')
            [CompletionResult]::new('--password-file', '--password-file', [CompletionResultType]::ParameterName, 'File with the database password on its first line; refused when others can read it')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Output for people or for programs; stdout is data, stderr is status')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colour on a terminal')
            [CompletionResult]::new('--no-input', '--no-input', [CompletionResultType]::ParameterName, 'Never prompt; what would need an answer is an error that names the flag')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more on stderr (-v: what is done, -vv: everything)')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
    })

    $completions.Where{ $_.CompletionText -like "$wordToComplete*" } |
        Sort-Object -Property ListItemText
}
