{{- define "sluice.labels" -}}
app.kubernetes.io/name: sluice
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "sluice.selector" -}}
app.kubernetes.io/name: sluice
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "sluice.image" -}}
{{ printf "%s/%s:%s" .root.Values.image.registry .program (.root.Values.image.tag | default .root.Chart.AppVersion) }}
{{- end }}

{{- define "sluice.caSecret" -}}
{{ .Values.ca.existingSecret | default "sluice-ca" }}
{{- end }}

{{- /* Every replica of the operator, the first one first. */}}
{{- define "sluice.replicas" -}}
{{- $replicas := list }}
{{- range $number := until (int .Values.operator.replicas) }}
{{- $replicas = append $replicas (printf "sluice-operator-%d.sluice-operator.%s.svc:9443" $number $.Release.Namespace) }}
{{- end }}
{{- join "," $replicas }}
{{- end }}

{{- /* Of `own` and, where nodes carry it, of the taint that they wait for their agent with. */}}
{{- define "sluice.tolerations" -}}
{{- $all := .own }}
{{- if .root.Values.agent.readinessTaint }}
{{- $all = append $all (dict "key" "sluice.dev/agent-not-ready" "operator" "Exists") }}
{{- end }}
{{- with $all -}}
tolerations: {{- toYaml . | nindent 0 }}
{{- end }}
{{- end }}
