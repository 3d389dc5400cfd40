# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_dbctl_global_optspecs
    string join \n config= env= database-url= password-file= format= no-input v/verbose color= h/help V/version
end

function __fish_dbctl_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_dbctl_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_dbctl_using_subcommand
    set -l cmd (__fish_dbctl_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c dbctl -n "__fish_dbctl_needs_command" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_needs_command" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_needs_command" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_needs_command" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_needs_command" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_needs_command" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_needs_command" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_needs_command" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_needs_command" -s V -l version -d 'Print version'
complete -c dbctl -n "__fish_dbctl_needs_command" -f -a "init" -d 'Write a commented dbctl.toml, a runbook to fill in and a migrations folder'
complete -c dbctl -n "__fish_dbctl_needs_command" -f -a "migrate" -d 'Create, list, validate and apply migrations'
complete -c dbctl -n "__fish_dbctl_needs_command" -f -a "preflight" -d 'Check the preconditions of a rollout, each with evidence'
complete -c dbctl -n "__fish_dbctl_needs_command" -f -a "keys" -d 'Seed, rotate, bring in, give out and look at signing keys'
complete -c dbctl -n "__fish_dbctl_needs_command" -f -a "security" -d 'Look after the security state in Postgres'
complete -c dbctl -n "__fish_dbctl_needs_command" -f -a "toggles" -d 'Show and set the four runtime toggles on targets'
complete -c dbctl -n "__fish_dbctl_needs_command" -f -a "carry" -d 'Carry live state across a switch; look at the rollback kit'
complete -c dbctl -n "__fish_dbctl_needs_command" -f -a "smoke" -d 'Check the running service over HTTP'
complete -c dbctl -n "__fish_dbctl_needs_command" -f -a "verify" -d 'Run the verification queries of a runbook, read-only'
complete -c dbctl -n "__fish_dbctl_needs_command" -f -a "runbook" -d 'Check and list runbooks'
complete -c dbctl -n "__fish_dbctl_needs_command" -f -a "rollout" -d 'Drive a runbook: plan, start, approve, pause, roll back'
complete -c dbctl -n "__fish_dbctl_needs_command" -f -a "gate" -d 'Try gates and triggers out on past data'
complete -c dbctl -n "__fish_dbctl_needs_command" -f -a "incident" -d 'Keep what belongs to an incident; say why a request was decided as it was'
complete -c dbctl -n "__fish_dbctl_needs_command" -f -a "service" -d 'Run the reference service'
complete -c dbctl -n "__fish_dbctl_needs_command" -f -a "demo" -d 'Watch a real service move onto Postgres, break and come back; needs nothing installed'
complete -c dbctl -n "__fish_dbctl_needs_command" -f -a "completions" -d 'Print a shell\'s completion script'
complete -c dbctl -n "__fish_dbctl_needs_command" -f -a "man" -d 'Write the manual pages'
complete -c dbctl -n "__fish_dbctl_using_subcommand init" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand init" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand init" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand init" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand init" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand init" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand init" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand init" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand init" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and not __fish_seen_subcommand_from new list validate drift dump apply" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and not __fish_seen_subcommand_from new list validate drift dump apply" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and not __fish_seen_subcommand_from new list validate drift dump apply" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and not __fish_seen_subcommand_from new list validate drift dump apply" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and not __fish_seen_subcommand_from new list validate drift dump apply" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and not __fish_seen_subcommand_from new list validate drift dump apply" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and not __fish_seen_subcommand_from new list validate drift dump apply" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and not __fish_seen_subcommand_from new list validate drift dump apply" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and not __fish_seen_subcommand_from new list validate drift dump apply" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and not __fish_seen_subcommand_from new list validate drift dump apply" -f -a "new" -d 'Create a migration file with the next number'
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and not __fish_seen_subcommand_from new list validate drift dump apply" -f -a "list" -d 'Show which migrations are pending, applied, missing or divergent'
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and not __fish_seen_subcommand_from new list validate drift dump apply" -f -a "validate" -d 'Check the files and run them all on a scratch database'
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and not __fish_seen_subcommand_from new list validate drift dump apply" -f -a "drift" -d 'Show what differs between a database and its migrations'
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and not __fish_seen_subcommand_from new list validate drift dump apply" -f -a "dump" -d 'Write the schema that the migrations make, as text for a review'
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and not __fish_seen_subcommand_from new list validate drift dump apply" -f -a "apply" -d 'Apply what is pending'
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from new" -l dir -d 'Folder to create it in [default: migrations.dir of the settings, else migrations]' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from new" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from new" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from new" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from new" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from new" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from new" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from new" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from new" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from new" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from list" -l dir -d 'Folder of migrations [default: migrations.dir of the settings, else those in dbctl]' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from list" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from list" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from list" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from list" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from list" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from list" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from list" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from list" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from validate" -l dir -d 'Folder of migrations [default: migrations.dir of the settings, else those in dbctl]' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from validate" -l convention -d 'How the files are kept, where it is not to be recognized: refinery, flyway, sqlx, golang-migrate, goose, dbmate, diesel, numbered, folders or sqitch' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from validate" -l since -d 'Judge only what is new since this commit of git, and what it had must be as it was' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from validate" -l layer -d 'Layers to judge by, with commas between them [default: all]' -r -f -a "files\t'Names, order, encodings, what git knows of the files'
lint\t'What the text alone says'
execution\t'What happened on the scratch database'
down\t'Up, down and up again'
again\t'Twice the same; the same as a live database'"
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from validate" -l scratch -d 'Where to run them: auto, embedded, native, or the URL of a server' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from validate" -l pg-bin -d 'Folder with initdb and postgres, for a native scratch database' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from validate" -l rows -d 'Rows in each table before a migration is tried' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from validate" -l seed -d 'SQL that puts in rows of your own before the first migration that is judged' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from validate" -l against -d 'Compare the schema with the one of this database, all migrations being applied there' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from validate" -l output -d 'Shape of what is printed on stdout; without it that of --format' -r -f -a "human\t'People: the lines of the files, why, and the way around'
json\t'Programs: `dbctl.migrate.validate/2`'
junit\t'Test reports: a case for each file'
sarif\t'Code scanning: SARIF 2.1.0'
github\t'Annotations of a GitHub workflow'
gitlab\t'GitLab\'s code quality report'"
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from validate" -l fail-on -d 'From which level on a finding ends the command with status 5' -r -f -a "error\t'Errors'
warning\t'Errors and warnings'
never\t'None of them'"
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from validate" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from validate" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from validate" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from validate" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from validate" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from validate" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from validate" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from validate" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from validate" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from drift" -l dir -d 'Folder of migrations [default: migrations.dir of the settings, else those in dbctl]' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from drift" -l convention -d 'How the files are kept, where it is not to be recognized: refinery, flyway, sqlx, golang-migrate, goose, dbmate, diesel, numbered, folders or sqitch' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from drift" -l scratch -d 'Where to run them: auto, embedded, native, or the URL of a server' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from drift" -l pg-bin -d 'Folder with initdb and postgres, for a native scratch database' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from drift" -l ignore -d 'Leave out what is called so, such as `index *.adhoc_*`; may be repeated' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from drift" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from drift" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from drift" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from drift" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from drift" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from drift" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from drift" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from drift" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from drift" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from dump" -l dir -d 'Folder of migrations [default: migrations.dir of the settings, else those in dbctl]' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from dump" -l convention -d 'How the files are kept, where it is not to be recognized: refinery, flyway, sqlx, golang-migrate, goose, dbmate, diesel, numbered, folders or sqitch' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from dump" -l scratch -d 'Where to run them: auto, embedded, native, or the URL of a server' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from dump" -l pg-bin -d 'Folder with initdb and postgres, for a native scratch database' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from dump" -l check -d 'Compare with this file instead of printing' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from dump" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from dump" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from dump" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from dump" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from dump" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from dump" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from dump" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from dump" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from dump" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from apply" -l dir -d 'Folder of migrations [default: migrations.dir of the settings, else those in dbctl]' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from apply" -l lock-timeout -d 'How long a statement may wait for a lock before it gives way and tries again' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from apply" -l confirm -d 'Name of the environment (without one: of the database), instead of typing it' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from apply" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from apply" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from apply" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from apply" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from apply" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from apply" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from apply" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from apply" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate; and __fish_seen_subcommand_from apply" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand preflight" -l expect -d 'Where the toggles should be' -r -f -a "local\t'On memory and file, as before a cutover'
postgres\t'On Postgres, as after one'"
complete -c dbctl -n "__fish_dbctl_using_subcommand preflight" -l scratch -d 'Where to run the migrations: auto, embedded, native, or the URL of a server' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand preflight" -l pg-bin -d 'Folder with initdb and postgres, for a native scratch database' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand preflight" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand preflight" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand preflight" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand preflight" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand preflight" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand preflight" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand preflight" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand preflight" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand preflight" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and not __fish_seen_subcommand_from seed list rotate promote retire revoke import export verify rewrap kek new-kek" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and not __fish_seen_subcommand_from seed list rotate promote retire revoke import export verify rewrap kek new-kek" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and not __fish_seen_subcommand_from seed list rotate promote retire revoke import export verify rewrap kek new-kek" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and not __fish_seen_subcommand_from seed list rotate promote retire revoke import export verify rewrap kek new-kek" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and not __fish_seen_subcommand_from seed list rotate promote retire revoke import export verify rewrap kek new-kek" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and not __fish_seen_subcommand_from seed list rotate promote retire revoke import export verify rewrap kek new-kek" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and not __fish_seen_subcommand_from seed list rotate promote retire revoke import export verify rewrap kek new-kek" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and not __fish_seen_subcommand_from seed list rotate promote retire revoke import export verify rewrap kek new-kek" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and not __fish_seen_subcommand_from seed list rotate promote retire revoke import export verify rewrap kek new-kek" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and not __fish_seen_subcommand_from seed list rotate promote retire revoke import export verify rewrap kek new-kek" -f -a "seed" -d 'Make the first version of the signing key; seeding twice changes nothing'
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and not __fish_seen_subcommand_from seed list rotate promote retire revoke import export verify rewrap kek new-kek" -f -a "list" -d 'List the versions of signing keys, without any key material'
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and not __fish_seen_subcommand_from seed list rotate promote retire revoke import export verify rewrap kek new-kek" -f -a "rotate" -d 'Replace the version that signs, step by step; the next call continues'
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and not __fish_seen_subcommand_from seed list rotate promote retire revoke import export verify rewrap kek new-kek" -f -a "promote" -d 'Let a standby version sign'
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and not __fish_seen_subcommand_from seed list rotate promote retire revoke import export verify rewrap kek new-kek" -f -a "retire" -d 'Let a version go whose tokens have all expired'
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and not __fish_seen_subcommand_from seed list rotate promote retire revoke import export verify rewrap kek new-kek" -f -a "revoke" -d 'Never trust a version again'
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and not __fish_seen_subcommand_from seed list rotate promote retire revoke import export verify rewrap kek new-kek" -f -a "import" -d 'Take keys that were made elsewhere: PEM, JWK, a JWK set, a sealed export'
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and not __fish_seen_subcommand_from seed list rotate promote retire revoke import export verify rewrap kek new-kek" -f -a "export" -d 'Export the public keys that verifiers should trust, or sealed private ones'
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and not __fish_seen_subcommand_from seed list rotate promote retire revoke import export verify rewrap kek new-kek" -f -a "verify" -d 'Look whether every sealed key opens and its halves fit; changes nothing'
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and not __fish_seen_subcommand_from seed list rotate promote retire revoke import export verify rewrap kek new-kek" -f -a "rewrap" -d 'Seal every private key anew with another key-encryption key'
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and not __fish_seen_subcommand_from seed list rotate promote retire revoke import export verify rewrap kek new-kek" -f -a "kek" -d 'The key-encryption keys by name: list them, drop one that is no longer used'
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and not __fish_seen_subcommand_from seed list rotate promote retire revoke import export verify rewrap kek new-kek" -f -a "new-kek" -d 'Write a new random key-encryption key to a file; never overwrites'
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from seed" -l key-id -d 'Name of the logical key; `keys.key_id` of the settings without it' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from seed" -l algorithm -d 'EdDSA, ES256 or RS256; `keys.algorithm` of the settings without it' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from seed" -l kek-file -d 'File with the key-encryption key; that of the environment without it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from seed" -l trust -d 'Public keys to record beside it, as a JWKS file: those of the instances that still sign without Postgres (their /.well-known/jwks.json)' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from seed" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from seed" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from seed" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from seed" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from seed" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from seed" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from seed" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from seed" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from seed" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from list" -l key-id -d 'Only the versions of this logical key' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from list" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from list" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from list" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from list" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from list" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from list" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from list" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from list" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from rotate" -l key-id -d 'Name of the logical key; `keys.key_id` of the settings without it' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from rotate" -l confirm -d 'The key\'s name, instead of typing it where somebody is locked out' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from rotate" -l kek-file -d 'File with the key-encryption key; that of the environment without it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from rotate" -l algorithm -d 'EdDSA, ES256 or RS256 for the new version; that of the key without it' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from rotate" -l again-after -d 'Begin no new rotation sooner than this after the last step of the one before' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from rotate" -l reason -d 'Why, for security.events' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from rotate" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from rotate" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from rotate" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from rotate" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from rotate" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from rotate" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from rotate" -l wait -d 'Wait for what has to be waited for, until the old version is retired'
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from rotate" -l emergency -d 'Promote at once: says who is locked out and until when, and wants the key\'s name typed'
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from rotate" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from rotate" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from rotate" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from promote" -l key-id -d 'Name of the logical key; `keys.key_id` of the settings without it' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from promote" -l confirm -d 'The key\'s name, instead of typing it where somebody is locked out' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from promote" -l kek-file -d 'File with the key-encryption key; that of the environment without it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from promote" -l reason -d 'Why, for security.events' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from promote" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from promote" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from promote" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from promote" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from promote" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from promote" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from promote" -l emergency -d 'Do not wait: says who is locked out and until when, and wants the key\'s name typed'
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from promote" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from promote" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from promote" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from retire" -l key-id -d 'Name of the logical key; `keys.key_id` of the settings without it' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from retire" -l confirm -d 'The key\'s name, instead of typing it where somebody is locked out' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from retire" -l stopped-signing -d 'When the last instance that signed with it outside of Postgres was switched or stopped' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from retire" -l reason -d 'Why, for security.events' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from retire" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from retire" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from retire" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from retire" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from retire" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from retire" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from retire" -l emergency -d 'Do not wait: says who is locked out and until when, and wants the key\'s name typed'
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from retire" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from retire" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from retire" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from revoke" -l reason -d 'Why, for security.events' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from revoke" -l key-id -d 'Name of the logical key; `keys.key_id` of the settings without it' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from revoke" -l confirm -d 'The key\'s name, instead of typing it where somebody is locked out' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from revoke" -l kek-file -d 'File with the key-encryption key; that of the environment without it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from revoke" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from revoke" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from revoke" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from revoke" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from revoke" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from revoke" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from revoke" -l emergency -d 'Promote the successor even if it was not published for long enough'
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from revoke" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from revoke" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from revoke" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from import" -l key-id -d 'Name of the logical key; `keys.key_id` of the settings without it' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from import" -l kek-file -d 'File with the key-encryption key; that of the environment without it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from import" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from import" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from import" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from import" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from import" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from import" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from import" -l verify-only -d 'Take the public halves only: they verify and never sign'
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from import" -l forget-kid -d 'Take a JWK whose kid is not its RFC 7638 thumbprint, under its thumbprint: tokens that carry the other kid are not verified here'
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from import" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from import" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from import" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from export" -l kid -d 'Only the key with this kid' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from export" -l out -d 'File to write instead of standard output' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from export" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from export" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from export" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from export" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from export" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from export" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from export" -l jwks -d 'As a JSON Web Key Set (RFC 7517): every version that verifies'
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from export" -l pem -d 'As PEM (`BEGIN PUBLIC KEY`), one block for every version that verifies'
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from export" -l sealed -d 'With the private halves, sealed as they are in the database, as JSON'
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from export" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from export" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from export" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from verify" -l kek-file -d 'File with a key-encryption key, beside the environment\'s; may be given again' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from verify" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from verify" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from verify" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from verify" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from verify" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from verify" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from verify" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from verify" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from verify" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from rewrap" -l to -d 'File with the new key-encryption key' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from rewrap" -l to-credential -d 'Name of the new key-encryption key in systemd\'s $CREDENTIALS_DIRECTORY' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from rewrap" -l to-command -d 'Program and arguments that print the new key-encryption key; stands last' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from rewrap" -l kek-file -d 'File with a key-encryption key of now, beside the environment\'s; may be given again' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from rewrap" -l confirm -d 'The environment\'s name (the database\'s, where there is none), typed, instead of the prompt' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from rewrap" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from rewrap" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from rewrap" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from rewrap" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from rewrap" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from rewrap" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from rewrap" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from rewrap" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from rewrap" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from kek" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from kek" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from kek" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from kek" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from kek" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from kek" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from kek" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from kek" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from kek" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from kek" -f -a "list" -d 'List the key-encryption keys that sealed anything here, by name'
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from kek" -f -a "drop" -d 'Never seal with a key-encryption key again; one that still seals something is refused'
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from new-kek" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from new-kek" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from new-kek" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from new-kek" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from new-kek" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from new-kek" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from new-kek" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from new-kek" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand keys; and __fish_seen_subcommand_from new-kek" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand security; and not __fish_seen_subcommand_from check purge partitions" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand security; and not __fish_seen_subcommand_from check purge partitions" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand security; and not __fish_seen_subcommand_from check purge partitions" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand security; and not __fish_seen_subcommand_from check purge partitions" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand security; and not __fish_seen_subcommand_from check purge partitions" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand security; and not __fish_seen_subcommand_from check purge partitions" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand security; and not __fish_seen_subcommand_from check purge partitions" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand security; and not __fish_seen_subcommand_from check purge partitions" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand security; and not __fish_seen_subcommand_from check purge partitions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand security; and not __fish_seen_subcommand_from check purge partitions" -f -a "check" -d 'Check that the security state in Postgres is whole; changes nothing'
complete -c dbctl -n "__fish_dbctl_using_subcommand security; and not __fish_seen_subcommand_from check purge partitions" -f -a "purge" -d 'Remove revocations whose tokens have long expired, in small batches'
complete -c dbctl -n "__fish_dbctl_using_subcommand security; and not __fish_seen_subcommand_from check purge partitions" -f -a "partitions" -d 'Make the monthly partitions of decisions ahead, and drop those that were kept long enough'
complete -c dbctl -n "__fish_dbctl_using_subcommand security; and __fish_seen_subcommand_from check" -l scratch -d 'Where to run the migrations: auto, embedded, native, or the URL of a server' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand security; and __fish_seen_subcommand_from check" -l pg-bin -d 'Folder with initdb and postgres, for a native scratch database' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand security; and __fish_seen_subcommand_from check" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand security; and __fish_seen_subcommand_from check" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand security; and __fish_seen_subcommand_from check" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand security; and __fish_seen_subcommand_from check" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand security; and __fish_seen_subcommand_from check" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand security; and __fish_seen_subcommand_from check" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand security; and __fish_seen_subcommand_from check" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand security; and __fish_seen_subcommand_from check" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand security; and __fish_seen_subcommand_from check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand security; and __fish_seen_subcommand_from purge" -l batch -d 'Rows per transaction; `purge.batch` of the settings without it' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand security; and __fish_seen_subcommand_from purge" -l pause -d 'Time between two of them; `purge.pause` of the settings without it' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand security; and __fish_seen_subcommand_from purge" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand security; and __fish_seen_subcommand_from purge" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand security; and __fish_seen_subcommand_from purge" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand security; and __fish_seen_subcommand_from purge" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand security; and __fish_seen_subcommand_from purge" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand security; and __fish_seen_subcommand_from purge" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand security; and __fish_seen_subcommand_from purge" -l dry-run -d 'Say what would go, and change nothing'
complete -c dbctl -n "__fish_dbctl_using_subcommand security; and __fish_seen_subcommand_from purge" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand security; and __fish_seen_subcommand_from purge" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand security; and __fish_seen_subcommand_from purge" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand security; and __fish_seen_subcommand_from partitions" -l ahead -d 'How many months ahead of this one there should be' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand security; and __fish_seen_subcommand_from partitions" -l keep-decisions -d 'Drop decisions that are older, at least 30d; `purge.decisions` of the settings without it' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand security; and __fish_seen_subcommand_from partitions" -l keep-events -d 'Remove events that are older, at least 30d; `purge.events` of the settings without it' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand security; and __fish_seen_subcommand_from partitions" -l confirm -d 'Name of the environment (without one: of the database), instead of typing it' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand security; and __fish_seen_subcommand_from partitions" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand security; and __fish_seen_subcommand_from partitions" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand security; and __fish_seen_subcommand_from partitions" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand security; and __fish_seen_subcommand_from partitions" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand security; and __fish_seen_subcommand_from partitions" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand security; and __fish_seen_subcommand_from partitions" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand security; and __fish_seen_subcommand_from partitions" -l dry-run -d 'Say what would be dropped, and change nothing'
complete -c dbctl -n "__fish_dbctl_using_subcommand security; and __fish_seen_subcommand_from partitions" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand security; and __fish_seen_subcommand_from partitions" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand security; and __fish_seen_subcommand_from partitions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand toggles; and not __fish_seen_subcommand_from show set" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand toggles; and not __fish_seen_subcommand_from show set" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand toggles; and not __fish_seen_subcommand_from show set" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand toggles; and not __fish_seen_subcommand_from show set" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand toggles; and not __fish_seen_subcommand_from show set" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand toggles; and not __fish_seen_subcommand_from show set" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand toggles; and not __fish_seen_subcommand_from show set" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand toggles; and not __fish_seen_subcommand_from show set" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand toggles; and not __fish_seen_subcommand_from show set" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand toggles; and not __fish_seen_subcommand_from show set" -f -a "show" -d 'Show what each target\'s file says, and what its service says'
complete -c dbctl -n "__fish_dbctl_using_subcommand toggles; and not __fish_seen_subcommand_from show set" -f -a "set" -d 'Set toggles, restart, and have each target confirm; its state is carried over'
complete -c dbctl -n "__fish_dbctl_using_subcommand toggles; and __fish_seen_subcommand_from show" -l on -d 'Target or group to show; all targets without it. May be repeated' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand toggles; and __fish_seen_subcommand_from show" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand toggles; and __fish_seen_subcommand_from show" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand toggles; and __fish_seen_subcommand_from show" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand toggles; and __fish_seen_subcommand_from show" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand toggles; and __fish_seen_subcommand_from show" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand toggles; and __fish_seen_subcommand_from show" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand toggles; and __fish_seen_subcommand_from show" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand toggles; and __fish_seen_subcommand_from show" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand toggles; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand toggles; and __fish_seen_subcommand_from set" -l on -d 'Target or group to set them on; all targets without it. May be repeated' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand toggles; and __fish_seen_subcommand_from set" -l confirm -d 'The environment\'s name, instead of typing it' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand toggles; and __fish_seen_subcommand_from set" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand toggles; and __fish_seen_subcommand_from set" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand toggles; and __fish_seen_subcommand_from set" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand toggles; and __fish_seen_subcommand_from set" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand toggles; and __fish_seen_subcommand_from set" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand toggles; and __fish_seen_subcommand_from set" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand toggles; and __fish_seen_subcommand_from set" -l no-restart -d 'Change the files only; the next restart switches, without carry-over'
complete -c dbctl -n "__fish_dbctl_using_subcommand toggles; and __fish_seen_subcommand_from set" -l no-carry -d 'Do not carry state over: revoked tokens are accepted again on the other side'
complete -c dbctl -n "__fish_dbctl_using_subcommand toggles; and __fish_seen_subcommand_from set" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand toggles; and __fish_seen_subcommand_from set" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand toggles; and __fish_seen_subcommand_from set" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and not __fish_seen_subcommand_from plan status export import refresh accept" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and not __fish_seen_subcommand_from plan status export import refresh accept" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and not __fish_seen_subcommand_from plan status export import refresh accept" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and not __fish_seen_subcommand_from plan status export import refresh accept" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and not __fish_seen_subcommand_from plan status export import refresh accept" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and not __fish_seen_subcommand_from plan status export import refresh accept" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and not __fish_seen_subcommand_from plan status export import refresh accept" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and not __fish_seen_subcommand_from plan status export import refresh accept" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and not __fish_seen_subcommand_from plan status export import refresh accept" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and not __fish_seen_subcommand_from plan status export import refresh accept" -f -a "plan" -d 'Show what a switch would carry over, what differs and what it would burn; read-only'
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and not __fish_seen_subcommand_from plan status export import refresh accept" -f -a "status" -d 'Show how far instances and Postgres know the same, and how good the rollback kit is'
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and not __fish_seen_subcommand_from plan status export import refresh accept" -f -a "export" -d 'Write what instances, Postgres or the kit know to a new file'
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and not __fish_seen_subcommand_from plan status export import refresh accept" -f -a "import" -d 'Merge an exported file into Postgres or into instances; it only ever adds'
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and not __fish_seen_subcommand_from plan status export import refresh accept" -f -a "refresh" -d 'Make the rollback kit fresh, and change nothing else'
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and not __fish_seen_subcommand_from plan status export import refresh accept" -f -a "accept" -d 'Have a rollback use a kit that is not what the journal recorded'
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and __fish_seen_subcommand_from plan" -l to -d 'Where the state is to go; without it away from where all of the instances keep it' -r -f -a "postgres\t''
memory\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and __fish_seen_subcommand_from plan" -l on -d 'Target or group to look at; all targets without it. May be repeated' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and __fish_seen_subcommand_from plan" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and __fish_seen_subcommand_from plan" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and __fish_seen_subcommand_from plan" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and __fish_seen_subcommand_from plan" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and __fish_seen_subcommand_from plan" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and __fish_seen_subcommand_from plan" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and __fish_seen_subcommand_from plan" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and __fish_seen_subcommand_from plan" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and __fish_seen_subcommand_from plan" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and __fish_seen_subcommand_from status" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and __fish_seen_subcommand_from status" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and __fish_seen_subcommand_from status" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and __fish_seen_subcommand_from status" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and __fish_seen_subcommand_from status" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and __fish_seen_subcommand_from status" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and __fish_seen_subcommand_from status" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and __fish_seen_subcommand_from status" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and __fish_seen_subcommand_from status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and __fish_seen_subcommand_from export" -l from -d 'Whose knowledge' -r -f -a "instances\t'The running instances, merged'
postgres\t'The database'
kit\t'The rollback kit, with the margins of a rollback for its age'"
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and __fish_seen_subcommand_from export" -l on -d 'With --from instances: target or group to ask; all targets without it. May be repeated' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and __fish_seen_subcommand_from export" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and __fish_seen_subcommand_from export" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and __fish_seen_subcommand_from export" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and __fish_seen_subcommand_from export" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and __fish_seen_subcommand_from export" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and __fish_seen_subcommand_from export" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and __fish_seen_subcommand_from export" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and __fish_seen_subcommand_from export" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and __fish_seen_subcommand_from export" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and __fish_seen_subcommand_from import" -l into -d 'Who is to know it' -r -f -a "postgres\t''
instances\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and __fish_seen_subcommand_from import" -l on -d 'With --into instances: target or group; all targets without it. May be repeated' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and __fish_seen_subcommand_from import" -l confirm -d 'The environment\'s name, instead of typing it' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and __fish_seen_subcommand_from import" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and __fish_seen_subcommand_from import" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and __fish_seen_subcommand_from import" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and __fish_seen_subcommand_from import" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and __fish_seen_subcommand_from import" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and __fish_seen_subcommand_from import" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and __fish_seen_subcommand_from import" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and __fish_seen_subcommand_from import" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and __fish_seen_subcommand_from import" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and __fish_seen_subcommand_from refresh" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and __fish_seen_subcommand_from refresh" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and __fish_seen_subcommand_from refresh" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and __fish_seen_subcommand_from refresh" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and __fish_seen_subcommand_from refresh" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and __fish_seen_subcommand_from refresh" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and __fish_seen_subcommand_from refresh" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and __fish_seen_subcommand_from refresh" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and __fish_seen_subcommand_from refresh" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and __fish_seen_subcommand_from accept" -l confirm -d 'The environment\'s name, instead of typing it' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and __fish_seen_subcommand_from accept" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and __fish_seen_subcommand_from accept" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and __fish_seen_subcommand_from accept" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and __fish_seen_subcommand_from accept" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and __fish_seen_subcommand_from accept" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and __fish_seen_subcommand_from accept" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and __fish_seen_subcommand_from accept" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and __fish_seen_subcommand_from accept" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand carry; and __fish_seen_subcommand_from accept" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand smoke" -l on -d 'Target or group to check; all targets without it. May be repeated' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand smoke" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand smoke" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand smoke" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand smoke" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand smoke" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand smoke" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand smoke" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand smoke" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand smoke" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand verify" -l runbook -d 'Markdown file with the queries' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand verify" -l timeout -d 'The longest time that a statement may take' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand verify" -l max-rows -d 'Show at most so many rows of a query; expectations see all of them [default: 1000, as CSV all]' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand verify" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand verify" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand verify" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand verify" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand verify" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand verify" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand verify" -l csv -d 'Write the rows of one query as CSV; NULL is an empty field, an empty text is ""'
complete -c dbctl -n "__fish_dbctl_using_subcommand verify" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand verify" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand verify" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand runbook; and not __fish_seen_subcommand_from check list" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand runbook; and not __fish_seen_subcommand_from check list" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand runbook; and not __fish_seen_subcommand_from check list" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand runbook; and not __fish_seen_subcommand_from check list" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand runbook; and not __fish_seen_subcommand_from check list" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand runbook; and not __fish_seen_subcommand_from check list" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand runbook; and not __fish_seen_subcommand_from check list" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand runbook; and not __fish_seen_subcommand_from check list" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand runbook; and not __fish_seen_subcommand_from check list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand runbook; and not __fish_seen_subcommand_from check list" -f -a "check" -d 'Read a runbook; show what it binds, or every mistake with line and column'
complete -c dbctl -n "__fish_dbctl_using_subcommand runbook; and not __fish_seen_subcommand_from check list" -f -a "list" -d 'List the runbooks of a folder and the one that dbctl carries'
complete -c dbctl -n "__fish_dbctl_using_subcommand runbook; and __fish_seen_subcommand_from check" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand runbook; and __fish_seen_subcommand_from check" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand runbook; and __fish_seen_subcommand_from check" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand runbook; and __fish_seen_subcommand_from check" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand runbook; and __fish_seen_subcommand_from check" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand runbook; and __fish_seen_subcommand_from check" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand runbook; and __fish_seen_subcommand_from check" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand runbook; and __fish_seen_subcommand_from check" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand runbook; and __fish_seen_subcommand_from check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand runbook; and __fish_seen_subcommand_from list" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand runbook; and __fish_seen_subcommand_from list" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand runbook; and __fish_seen_subcommand_from list" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand runbook; and __fish_seen_subcommand_from list" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand runbook; and __fish_seen_subcommand_from list" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand runbook; and __fish_seen_subcommand_from list" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand runbook; and __fish_seen_subcommand_from list" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand runbook; and __fish_seen_subcommand_from list" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand runbook; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and not __fish_seen_subcommand_from plan start status resume run wait takeover approve reject pause freeze note replan resolve abort rollback merge log report rehearse hooks" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and not __fish_seen_subcommand_from plan start status resume run wait takeover approve reject pause freeze note replan resolve abort rollback merge log report rehearse hooks" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and not __fish_seen_subcommand_from plan start status resume run wait takeover approve reject pause freeze note replan resolve abort rollback merge log report rehearse hooks" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and not __fish_seen_subcommand_from plan start status resume run wait takeover approve reject pause freeze note replan resolve abort rollback merge log report rehearse hooks" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and not __fish_seen_subcommand_from plan start status resume run wait takeover approve reject pause freeze note replan resolve abort rollback merge log report rehearse hooks" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and not __fish_seen_subcommand_from plan start status resume run wait takeover approve reject pause freeze note replan resolve abort rollback merge log report rehearse hooks" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and not __fish_seen_subcommand_from plan start status resume run wait takeover approve reject pause freeze note replan resolve abort rollback merge log report rehearse hooks" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and not __fish_seen_subcommand_from plan start status resume run wait takeover approve reject pause freeze note replan resolve abort rollback merge log report rehearse hooks" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and not __fish_seen_subcommand_from plan start status resume run wait takeover approve reject pause freeze note replan resolve abort rollback merge log report rehearse hooks" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and not __fish_seen_subcommand_from plan start status resume run wait takeover approve reject pause freeze note replan resolve abort rollback merge log report rehearse hooks" -f -a "plan" -d 'Show what would be done, to which targets, in which order, and how it is undone'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and not __fish_seen_subcommand_from plan start status resume run wait takeover approve reject pause freeze note replan resolve abort rollback merge log report rehearse hooks" -f -a "start" -d 'Begin a run and drive it'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and not __fish_seen_subcommand_from plan start status resume run wait takeover approve reject pause freeze note replan resolve abort rollback merge log report rehearse hooks" -f -a "status" -d 'Show where a run stands and what may be done now; needs neither Postgres nor the service'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and not __fish_seen_subcommand_from plan start status resume run wait takeover approve reject pause freeze note replan resolve abort rollback merge log report rehearse hooks" -f -a "resume" -d 'Drive a run on: after a pause, a Ctrl-C, a crash, or what is due after a rollback'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and not __fish_seen_subcommand_from plan start status resume run wait takeover approve reject pause freeze note replan resolve abort rollback merge log report rehearse hooks" -f -a "run" -d 'Begin a run, or drive the open one on, and never ask: for pipelines'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and not __fish_seen_subcommand_from plan start status resume run wait takeover approve reject pause freeze note replan resolve abort rollback merge log report rehearse hooks" -f -a "wait" -d 'Wait until a run stands where nothing happens by itself; drives nothing'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and not __fish_seen_subcommand_from plan start status resume run wait takeover approve reject pause freeze note replan resolve abort rollback merge log report rehearse hooks" -f -a "takeover" -d 'Drive a run from here that somebody else drives, and fence them'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and not __fish_seen_subcommand_from plan start status resume run wait takeover approve reject pause freeze note replan resolve abort rollback merge log report rehearse hooks" -f -a "approve" -d 'Let the run enter the phase that it waits for, or say yes to the step that asks'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and not __fish_seen_subcommand_from plan start status resume run wait takeover approve reject pause freeze note replan resolve abort rollback merge log report rehearse hooks" -f -a "reject" -d 'Say no to what the run waits for; it is paused, and everything stays as it is'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and not __fish_seen_subcommand_from plan start status resume run wait takeover approve reject pause freeze note replan resolve abort rollback merge log report rehearse hooks" -f -a "pause" -d 'Stop advancing and keep everything as it is'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and not __fish_seen_subcommand_from plan start status resume run wait takeover approve reject pause freeze note replan resolve abort rollback merge log report rehearse hooks" -f -a "freeze" -d 'Stop advancing and keep everything as it is'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and not __fish_seen_subcommand_from plan start status resume run wait takeover approve reject pause freeze note replan resolve abort rollback merge log report rehearse hooks" -f -a "note" -d 'Leave a note in the journal for whoever drives next'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and not __fish_seen_subcommand_from plan start status resume run wait takeover approve reject pause freeze note replan resolve abort rollback merge log report rehearse hooks" -f -a "replan" -d 'Have the run follow the runbook as it is now: shows what differs, and asks'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and not __fish_seen_subcommand_from plan start status resume run wait takeover approve reject pause freeze note replan resolve abort rollback merge log report rehearse hooks" -f -a "resolve" -d 'Say what became of a step in doubt, after looking, where no probe can tell'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and not __fish_seen_subcommand_from plan start status resume run wait takeover approve reject pause freeze note replan resolve abort rollback merge log report rehearse hooks" -f -a "abort" -d 'End a run before anything was switched'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and not __fish_seen_subcommand_from plan start status resume run wait takeover approve reject pause freeze note replan resolve abort rollback merge log report rehearse hooks" -f -a "rollback" -d 'Go back to memory/file on every target that the run switched; asks nothing'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and not __fish_seen_subcommand_from plan start status resume run wait takeover approve reject pause freeze note replan resolve abort rollback merge log report rehearse hooks" -f -a "merge" -d 'Bring what a rollback without the journal (--break-glass) did into the journal'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and not __fish_seen_subcommand_from plan start status resume run wait takeover approve reject pause freeze note replan resolve abort rollback merge log report rehearse hooks" -f -a "log" -d 'Show a run\'s journal and check its hash chain'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and not __fish_seen_subcommand_from plan start status resume run wait takeover approve reject pause freeze note replan resolve abort rollback merge log report rehearse hooks" -f -a "report" -d 'Write a run as an HTML file: timeline, evidence, gates as plots; a post-mortem\'s beginning'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and not __fish_seen_subcommand_from plan start status resume run wait takeover approve reject pause freeze note replan resolve abort rollback merge log report rehearse hooks" -f -a "rehearse" -d 'Walk the part of a runbook that acts in one environment forwards and back from every step'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and not __fish_seen_subcommand_from plan start status resume run wait takeover approve reject pause freeze note replan resolve abort rollback merge log report rehearse hooks" -f -a "hooks" -d 'Try out the hooks: programs and servers that are told what happens in a run'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from plan" -l runbook -d 'The runbook; without it `runbook.path` of the settings, else the one that dbctl carries' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from plan" -l shorten-bakes -d 'Shorten every bake to this; the plan says so wherever it is shown' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from plan" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from plan" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from plan" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from plan" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from plan" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from plan" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from plan" -l dry-run -d 'Also make every check and ask every probe now, and have no effect at all'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from plan" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from plan" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from plan" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from start" -l runbook -d 'The runbook; without it `runbook.path` of the settings, else the one that dbctl carries' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from start" -l shorten-bakes -d 'Shorten every bake to this; the plan says so wherever it is shown' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from start" -l as -d 'Who you say you are: recorded as a claim, beside who the journal knows you to be' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from start" -l confirm -d 'Approve the first phase by its environment\'s name, instead of typing it' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from start" -l waive -d 'Begin although the steps after the rollback of RUN were not done; names that run' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from start" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from start" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from start" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from start" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from start" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from start" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from start" -l dry-run -d 'Make every check and ask every probe now, say what the run would do, and do nothing'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from start" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from start" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from start" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from status" -l run -d 'The run; without it the one under way, else the newest' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from status" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from status" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from status" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from status" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from status" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from status" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from status" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from status" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from resume" -l run -d 'The run; without it the one under way, else the newest' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from resume" -l accept-world -d 'Go on although the world is not as the journal says; the run\'s id' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from resume" -l as -d 'Who you say you are: recorded as a claim, beside who the journal knows you to be' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from resume" -l confirm -d 'Approve the phase that the run waits for by its environment\'s name, instead of typing it' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from resume" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from resume" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from resume" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from resume" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from resume" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from resume" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from resume" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from resume" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from resume" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from run" -l until -d 'How far: until every step of a phase is finished, until a person is wanted, to the end' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from run" -l runbook -d 'The runbook; without it `runbook.path` of the settings, else the one that dbctl carries' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from run" -l shorten-bakes -d 'Shorten every bake to this; the plan says so wherever it is shown' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from run" -l accept-world -d 'Go on although the world is not as the journal says; the run\'s id' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from run" -l as -d 'Who you say you are: recorded as a claim, beside who the journal knows you to be' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from run" -l confirm -d 'Approve one phase, the first that is asked for, by its environment\'s name' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from run" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from run" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from run" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from run" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from run" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from run" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from run" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from run" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from run" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from wait" -l run -d 'The run; without it the one under way, else the newest' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from wait" -l until -d 'How far: until every step of a phase is finished, until a person is wanted, until it is completed, until it has ended in whichever way' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from wait" -l timeout -d 'Give up after this' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from wait" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from wait" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from wait" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from wait" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from wait" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from wait" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from wait" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from wait" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from wait" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from takeover" -l run -d 'The run; without it the one under way, else the newest' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from takeover" -l accept-world -d 'Go on although the world is not as the journal says; the run\'s id' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from takeover" -l as -d 'Who you say you are: recorded as a claim, beside who the journal knows you to be' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from takeover" -l confirm -d 'The run\'s id, instead of typing it' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from takeover" -l note -d 'A note for the journal: why, and what was handed over' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from takeover" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from takeover" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from takeover" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from takeover" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from takeover" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from takeover" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from takeover" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from takeover" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from takeover" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from approve" -l run -d 'The run; without it the one under way, else the newest' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from approve" -l as -d 'Who you say you are: recorded as a claim, beside who the journal knows you to be' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from approve" -l confirm -d 'The name of the phase\'s environment, or of the step that asks, instead of typing it' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from approve" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from approve" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from approve" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from approve" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from approve" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from approve" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from approve" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from approve" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from approve" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from reject" -l run -d 'The run; without it the one under way, else the newest' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from reject" -l as -d 'Who you say you are: recorded as a claim, beside who the journal knows you to be' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from reject" -l reason -d 'Why, for the journal' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from reject" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from reject" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from reject" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from reject" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from reject" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from reject" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from reject" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from reject" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from reject" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from pause" -l run -d 'The run; without it the one under way, else the newest' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from pause" -l as -d 'Who you say you are: recorded as a claim, beside who the journal knows you to be' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from pause" -l reason -d 'Why, for the journal' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from pause" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from pause" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from pause" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from pause" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from pause" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from pause" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from pause" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from pause" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from pause" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from freeze" -l run -d 'The run; without it the one under way, else the newest' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from freeze" -l as -d 'Who you say you are: recorded as a claim, beside who the journal knows you to be' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from freeze" -l reason -d 'Why, for the journal' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from freeze" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from freeze" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from freeze" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from freeze" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from freeze" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from freeze" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from freeze" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from freeze" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from freeze" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from note" -l run -d 'The run; without it the one under way, else the newest' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from note" -l as -d 'Who you say you are: recorded as a claim, beside who the journal knows you to be' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from note" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from note" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from note" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from note" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from note" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from note" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from note" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from note" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from note" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from replan" -l run -d 'The run; without it the one under way, else the newest' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from replan" -l as -d 'Who you say you are: recorded as a claim, beside who the journal knows you to be' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from replan" -l runbook -d 'The runbook; without it `runbook.path` of the settings, else the one that dbctl carries' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from replan" -l shorten-bakes -d 'Shorten every bake to this; the plan says so wherever it is shown' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from replan" -l confirm -d 'The run\'s id, instead of typing it' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from replan" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from replan" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from replan" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from replan" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from replan" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from replan" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from replan" -l dry-run -d 'Only show what differs, and whether the run could follow it'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from replan" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from replan" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from replan" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from resolve" -l run -d 'The run; without it the one under way, else the newest' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from resolve" -l as -d 'Who you say you are: recorded as a claim, beside who the journal knows you to be' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from resolve" -l reason -d 'What was seen, for the journal' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from resolve" -l confirm -d 'The step\'s id once more, instead of typing it' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from resolve" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from resolve" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from resolve" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from resolve" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from resolve" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from resolve" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from resolve" -l done -d 'It was done: the run goes on behind it'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from resolve" -l not-done -d 'It was not done: it is begun again'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from resolve" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from resolve" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from resolve" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from abort" -l run -d 'The run; without it the one under way, else the newest' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from abort" -l as -d 'Who you say you are: recorded as a claim, beside who the journal knows you to be' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from abort" -l reason -d 'Why, for the journal' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from abort" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from abort" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from abort" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from abort" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from abort" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from abort" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from abort" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from abort" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from abort" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from rollback" -l run -d 'The run; without it the one under way, else the newest' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from rollback" -l as -d 'Who you say you are: recorded as a claim, beside who the journal knows you to be' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from rollback" -l reason -d 'Why, for the journal' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from rollback" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from rollback" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from rollback" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from rollback" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from rollback" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from rollback" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from rollback" -l break-glass -d 'Go back while the journal does not answer: from this machine\'s mirror of the run, and for an environment named by --env from the settings and the rollback kit'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from rollback" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from rollback" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from rollback" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from merge" -l as -d 'Who you say you are: recorded as a claim, beside who the journal knows you to be' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from merge" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from merge" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from merge" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from merge" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from merge" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from merge" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from merge" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from merge" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from merge" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from log" -l run -d 'The run; without it the one under way, else the newest' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from log" -l expect-head -d 'Fail unless the journal holds this entry: SEQ:HASH, as it was printed' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from log" -l export -d 'Write the run\'s events to a new file, to be kept and checked elsewhere' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from log" -l verify -d 'Only say whether the chain is intact; of an exported FILE, on any machine' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from log" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from log" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from log" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from log" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from log" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from log" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from log" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from log" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from log" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from report" -l run -d 'The run; without it the one under way, else the newest' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from report" -l from -d 'An exported journal (`rollout log --export`) instead of the journal' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from report" -l out -d 'The HTML file [default: rollout-RUN.html]' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from report" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from report" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from report" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from report" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from report" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from report" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from report" -l force -d 'Replace the file where there is one'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from report" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from report" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from report" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from rehearse" -l runbook -d 'The runbook; without it `runbook.path` of the settings, else the one that dbctl carries' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from rehearse" -l shorten-bakes -d 'Shorten every bake to this; the record says so' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from rehearse" -l confirm -d 'The environment\'s name, instead of typing it' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from rehearse" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from rehearse" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from rehearse" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from rehearse" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from rehearse" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from rehearse" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from rehearse" -l quick -d 'Shorten every bake to 5 s; the record says so'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from rehearse" -l again -d 'Begin anew although a rehearsal of these steps was broken off'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from rehearse" -l back -d 'Only take back what a rehearsal left that was broken off'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from rehearse" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from rehearse" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from rehearse" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from hooks" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from hooks" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from hooks" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from hooks" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from hooks" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from hooks" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from hooks" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from hooks" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from hooks" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout; and __fish_seen_subcommand_from hooks" -f -a "test" -d 'Send one sample to each hook of the settings, once, and say what came back'
complete -c dbctl -n "__fish_dbctl_using_subcommand gate; and not __fish_seen_subcommand_from test" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand gate; and not __fish_seen_subcommand_from test" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand gate; and not __fish_seen_subcommand_from test" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand gate; and not __fish_seen_subcommand_from test" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand gate; and not __fish_seen_subcommand_from test" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand gate; and not __fish_seen_subcommand_from test" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand gate; and not __fish_seen_subcommand_from test" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand gate; and not __fish_seen_subcommand_from test" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand gate; and not __fish_seen_subcommand_from test" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand gate; and not __fish_seen_subcommand_from test" -f -a "test" -d 'Run a gate or a trigger over past data: when would it have paused or rolled back?'
complete -c dbctl -n "__fish_dbctl_using_subcommand gate; and __fish_seen_subcommand_from test" -l since -d 'How far back the test begins, such as 7d or 12h' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand gate; and __fish_seen_subcommand_from test" -l until -d 'How far back it ends' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand gate; and __fish_seen_subcommand_from test" -l step -d 'How far apart the looks are' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand gate; and __fish_seen_subcommand_from test" -l bake -d 'The bake whose targets and length are taken; the first one with the gate without it' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand gate; and __fish_seen_subcommand_from test" -l runbook -d 'Runbook; `runbook.path` of the settings without it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand gate; and __fish_seen_subcommand_from test" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand gate; and __fish_seen_subcommand_from test" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand gate; and __fish_seen_subcommand_from test" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand gate; and __fish_seen_subcommand_from test" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand gate; and __fish_seen_subcommand_from test" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand gate; and __fish_seen_subcommand_from test" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand gate; and __fish_seen_subcommand_from test" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand gate; and __fish_seen_subcommand_from test" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand gate; and __fish_seen_subcommand_from test" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand incident; and not __fish_seen_subcommand_from export explain" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand incident; and not __fish_seen_subcommand_from export explain" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand incident; and not __fish_seen_subcommand_from export explain" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand incident; and not __fish_seen_subcommand_from export explain" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand incident; and not __fish_seen_subcommand_from export explain" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand incident; and not __fish_seen_subcommand_from export explain" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand incident; and not __fish_seen_subcommand_from export explain" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand incident; and not __fish_seen_subcommand_from export explain" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand incident; and not __fish_seen_subcommand_from export explain" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand incident; and not __fish_seen_subcommand_from export explain" -f -a "export" -d 'Collect logs, failed requests, the journal, query results and settings in one archive'
complete -c dbctl -n "__fish_dbctl_using_subcommand incident; and not __fish_seen_subcommand_from export explain" -f -a "explain" -d 'Say why a request was allowed or denied'
complete -c dbctl -n "__fish_dbctl_using_subcommand incident; and __fish_seen_subcommand_from export" -l since -d 'From when on: a time (2026-11-24T13:00Z) or how long ago (2h) [default: the beginning of the run, without one a day ago]' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand incident; and __fish_seen_subcommand_from export" -l until -d 'Until when, in the same words [default: now]' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand incident; and __fish_seen_subcommand_from export" -l run -d 'The run; without it the one under way, else the newest' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand incident; and __fish_seen_subcommand_from export" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand incident; and __fish_seen_subcommand_from export" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand incident; and __fish_seen_subcommand_from export" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand incident; and __fish_seen_subcommand_from export" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand incident; and __fish_seen_subcommand_from export" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand incident; and __fish_seen_subcommand_from export" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand incident; and __fish_seen_subcommand_from export" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand incident; and __fish_seen_subcommand_from export" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand incident; and __fish_seen_subcommand_from export" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand incident; and __fish_seen_subcommand_from explain" -l id-key-file -d 'File with the key that the service hides ids with (its SERVICE_DECISION_ID_KEY_FILE): what is hidden is looked for among all revocations' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand incident; and __fish_seen_subcommand_from explain" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand incident; and __fish_seen_subcommand_from explain" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand incident; and __fish_seen_subcommand_from explain" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand incident; and __fish_seen_subcommand_from explain" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand incident; and __fish_seen_subcommand_from explain" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand incident; and __fish_seen_subcommand_from explain" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand incident; and __fish_seen_subcommand_from explain" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand incident; and __fish_seen_subcommand_from explain" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand incident; and __fish_seen_subcommand_from explain" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand service; and not __fish_seen_subcommand_from run init" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand service; and not __fish_seen_subcommand_from run init" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand service; and not __fish_seen_subcommand_from run init" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand service; and not __fish_seen_subcommand_from run init" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand service; and not __fish_seen_subcommand_from run init" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand service; and not __fish_seen_subcommand_from run init" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand service; and not __fish_seen_subcommand_from run init" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand service; and not __fish_seen_subcommand_from run init" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand service; and not __fish_seen_subcommand_from run init" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand service; and not __fish_seen_subcommand_from run init" -f -a "run" -d 'Serve until SIGTERM or Ctrl-C'
complete -c dbctl -n "__fish_dbctl_using_subcommand service; and not __fish_seen_subcommand_from run init" -f -a "init" -d 'Write what an instance needs: environment file, signing key, admin token, state folder'
complete -c dbctl -n "__fish_dbctl_using_subcommand service; and __fish_seen_subcommand_from run" -l env-file -d 'File of NAME=value lines; what it says wins over the environment' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand service; and __fish_seen_subcommand_from run" -l listen -d 'Address to serve on instead of SERVICE_LISTEN; port 0 takes a free one' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand service; and __fish_seen_subcommand_from run" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand service; and __fish_seen_subcommand_from run" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand service; and __fish_seen_subcommand_from run" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand service; and __fish_seen_subcommand_from run" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand service; and __fish_seen_subcommand_from run" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand service; and __fish_seen_subcommand_from run" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand service; and __fish_seen_subcommand_from run" -l faults -d 'Allow POST /v1/faults to break things on purpose (demonstrations and tests)'
complete -c dbctl -n "__fish_dbctl_using_subcommand service; and __fish_seen_subcommand_from run" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand service; and __fish_seen_subcommand_from run" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand service; and __fish_seen_subcommand_from run" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand service; and __fish_seen_subcommand_from init" -l name -d 'Name of the instance, different from every other\'s' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand service; and __fish_seen_subcommand_from init" -l listen -d 'Address that it will serve on' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand service; and __fish_seen_subcommand_from init" -l signing-key -d 'Sign with this PKCS#8 PEM key, which other instances have too, instead of a new one' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand service; and __fish_seen_subcommand_from init" -l admin-token -d 'Admit whoever knows the token in this file, which other instances have too: dbctl uses one for all targets of an environment' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand service; and __fish_seen_subcommand_from init" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand service; and __fish_seen_subcommand_from init" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand service; and __fish_seen_subcommand_from init" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand service; and __fish_seen_subcommand_from init" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand service; and __fish_seen_subcommand_from init" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand service; and __fish_seen_subcommand_from init" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand service; and __fish_seen_subcommand_from init" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand service; and __fish_seen_subcommand_from init" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand service; and __fish_seen_subcommand_from init" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand demo" -l dir -d 'Empty folder for the settings, the journal and the instances\' files; kept afterwards' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand demo" -l bake -d 'How long a bake lasts' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand demo" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand demo" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand demo" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand demo" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand demo" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand demo" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand demo" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand demo" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand demo" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand completions" -l dir -d 'Write the scripts of all four shells into this folder instead' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand completions" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand completions" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand completions" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand completions" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand completions" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand completions" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand completions" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand completions" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand completions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand man" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand man" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand man" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand man" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand man" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand man" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand man" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand man" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand man" -s h -l help -d 'Print help (see more with \'--help\')'
