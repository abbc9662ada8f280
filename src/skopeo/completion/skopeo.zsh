#compdef skopeo
compdef _skopeo skopeo

# zsh completion for skopeo

_skopeo() {
    local reply line directive
    local -a lines described options
    reply=$("${words[1]}" __complete "${(@)words[2,CURRENT]}" 2>/dev/null) || return
    lines=("${(@f)reply}")
    directive=${lines[-1]#:}
    lines=("${(@)lines[1,-2]}")
    for line in "${lines[@]}"; do
        [[ -n $line ]] || continue
        # A colon ends the word for _describe.
        if [[ $line == *$'\t'* ]]; then
            described+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
        else
            described+=("${line//:/\\:}")
        fi
    done
    ((directive & 2)) && options+=(-S '')
    if ((${#described})); then
        _describe -V completions described "${options[@]}"
    elif (((directive & 4) == 0)); then
        _files
    fi
}

# When it is loaded with source or eval, it is only defined.
if [[ $funcstack[1] == _skopeo ]]; then
    _skopeo "$@"
fi
