# PowerShell completion for skopeo

Register-ArgumentCompleter -Native -CommandName 'skopeo' -ScriptBlock {
    param($WordToComplete, $CommandAst, $CursorPosition)
    $words = @($CommandAst.CommandElements |
        Where-Object { $_.Extent.EndOffset -lt $CursorPosition } |
        ForEach-Object { $_.ToString() })
    $program, $before = $words
    if (-not $program) { $program = 'skopeo' }
    $arguments = @('__complete') + @($before | Where-Object { $_ })
    # An empty argument is passed on only in quotes before PowerShell 7.3.
    if ($WordToComplete -eq '' -and $PSVersionTable.PSVersion -lt [version]'7.3') {
        $arguments += '""'
    } else {
        $arguments += $WordToComplete
    }
    & $program @arguments 2>$null |
        Where-Object { $_ -notmatch '^:\d+$' -and $_.StartsWith($WordToComplete) } |
        ForEach-Object {
            $word, $help = $_.Split("`t", 2)
            if (-not $help) { $help = $word }
            [System.Management.Automation.CompletionResult]::new($word, $word, 'ParameterValue', $help)
        }
}
