# bash completion for skopeo

_skopeo() {
    local line=${COMP_LINE:0:COMP_POINT} word last reply directive
    local -a words=() reply_lines=()
    COMPREPLY=()
    # bash breaks words at colons and equal signs, which belong to the names of images.
    local start=1
    while ((start <= COMP_CWORD)); do
        word=${COMP_WORDS[start]}
        ((start == COMP_CWORD)) && word=${2-$word}
        if [[ ${#words[@]} -gt 0 && $line == *"${words[-1]}$word"* &&
            ($word == [:=]* || ${words[-1]} == *[:=]) ]]; then
            words[-1]+=$word
        else
            words+=("$word")
        fi
        start=$((start + 1))
    done
    last=${words[-1]-}
    reply=$("${COMP_WORDS[0]}" __complete "${words[@]}" 2>/dev/null) || return
    mapfile -t reply_lines <<<"$reply"
    directive=${reply_lines[-1]#:}
    unset 'reply_lines[-1]'
    # bash replaces what follows the last break.
    local kept=${last%"${last##*[:=]}"}
    for word in "${reply_lines[@]}"; do
        word=${word%%$'\t'*}
        [[ $word == "$last"* ]] && COMPREPLY+=("${word#"$kept"}")
    done
    if (((directive & 2) != 0)); then
        compopt -o nospace
    fi
    if (((directive & 4) == 0)) && [[ ${#COMPREPLY[@]} -eq 0 ]]; then
        compopt -o default
    fi
}

complete -F _skopeo skopeo
