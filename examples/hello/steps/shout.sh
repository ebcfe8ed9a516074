# Reads its input from MAIA_INPUT_PATH, leaves a file in MAIA_ARTIFACTS_DIR and its result in MAIA_OUTPUT_PATH.
greeting=$(sed -n 's/.*"greeting": *"\([^"\\]*\)".*/\1/p' "$MAIA_INPUT_PATH")
shouted=$(printf '%s' "$greeting" | tr '[:lower:]' '[:upper:]')
echo "$shouted"
echo "$shouted" > "$MAIA_ARTIFACTS_DIR/shouted.txt"
printf '{"text": "%s"}' "$shouted" > "$MAIA_OUTPUT_PATH"
