
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
            break
        }
        'dbctl;preflight' {
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
            break
        }
        'dbctl;smoke' {
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
            break
        }
        'dbctl;demo' {
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
