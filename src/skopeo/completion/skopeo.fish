# fish completion for skopeo

function __skopeo_complete
    set -l words (commandline -opc)
    set -l last (commandline -ct)
    set -l reply ($words[1] __complete $words[2..-1] "$last" 2>/dev/null)
    or return
    set -l directive (string replace ':' '' -- $reply[-1])
    set -e reply[-1]
    if test (count $reply) -gt 0
        printf '%s\n' $reply
    else if test (math "$directive % 8") -lt 4
        __fish_complete_path "$last"
    end
end

complete -c skopeo -e
complete -c skopeo -f -a '(__skopeo_complete)'
