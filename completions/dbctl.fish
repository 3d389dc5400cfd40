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
complete -c dbctl -n "__fish_dbctl_needs_command" -f -a "keys" -d 'Seed, list and export signing keys'
complete -c dbctl -n "__fish_dbctl_needs_command" -f -a "toggles" -d 'Show and set the four runtime toggles on targets'
complete -c dbctl -n "__fish_dbctl_needs_command" -f -a "smoke" -d 'Check the running service over HTTP'
complete -c dbctl -n "__fish_dbctl_needs_command" -f -a "verify" -d 'Run the verification queries of a runbook, read-only'
complete -c dbctl -n "__fish_dbctl_needs_command" -f -a "runbook" -d 'Check and list runbooks'
complete -c dbctl -n "__fish_dbctl_needs_command" -f -a "rollout" -d 'Drive a runbook: plan, start, approve, pause, roll back'
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
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand migrate" -s h -l help -d 'Print help (see more with \'--help\')'
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
complete -c dbctl -n "__fish_dbctl_using_subcommand keys" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand keys" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand keys" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand keys" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand keys" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand keys" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand keys" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand keys" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand keys" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand toggles" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand toggles" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand toggles" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand toggles" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand toggles" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand toggles" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand toggles" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand toggles" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand toggles" -s h -l help -d 'Print help (see more with \'--help\')'
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
complete -c dbctl -n "__fish_dbctl_using_subcommand verify" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand verify" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand verify" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand verify" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand verify" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand verify" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand verify" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand verify" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand verify" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand runbook" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand runbook" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand runbook" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand runbook" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand runbook" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand runbook" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand runbook" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand runbook" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand runbook" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand rollout" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbctl -n "__fish_dbctl_using_subcommand service" -l config -d 'Settings file' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand service" -l env -d 'Environment of the settings file, such as staging or production' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand service" -l database-url -d 'Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)' -r
complete -c dbctl -n "__fish_dbctl_using_subcommand service" -l password-file -d 'File with the database password on its first line; refused when others can read it' -r -F
complete -c dbctl -n "__fish_dbctl_using_subcommand service" -l format -d 'Output for people or for programs; stdout is data, stderr is status' -r -f -a "human\t''
json\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand service" -l color -d 'Colour on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c dbctl -n "__fish_dbctl_using_subcommand service" -l no-input -d 'Never prompt; what would need an answer is an error that names the flag'
complete -c dbctl -n "__fish_dbctl_using_subcommand service" -s v -l verbose -d 'Say more on stderr (-v: what is done, -vv: everything)'
complete -c dbctl -n "__fish_dbctl_using_subcommand service" -s h -l help -d 'Print help (see more with \'--help\')'
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
